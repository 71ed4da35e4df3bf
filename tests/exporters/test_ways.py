"""The lengths at which a module goes other ways, which are tried too."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from exporters.original import run_original
from exporters.spec import ModelSpec
from tests import models
from tests.exporters.originals import Does, run, sizes
from trimaran.system.errors import TrimaranError


def test_axes_that_vary_are_tried_at_their_ends_in_their_middle_and_next_to_the_example() -> None:
    original = run_original(models.tokens(), 4)
    lengths = {batch["tokens"].shape[1] for batch in original.batches}
    assert {1, 6, 7, 8, 32, 33, 64} <= lengths
    hidden, count, any_ = original.interface.outputs
    assert [str(hidden), str(count), str(any_)] == [
        "hidden FP32 [-1, 6]", "count INT64 []", "any BOOL []",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("forward", "lengths"),
    [
        (lambda m, x: x * 2 if x.shape[1] % 2 else x, {17, 31}),
        (lambda m, x: x * 2 if 37 <= x.shape[1] <= 39 else x, {37, 38, 39}),
        (lambda m, x: x * 2 if x.shape[1] == 53 else x, {53}),
        (lambda m, x: x[:, : x.shape[1] - x.shape[1] % 8].mean(1, keepdim=True), {15, 23, 31}),
        (lambda m, x: x * (2 if x.shape[1] > 60 else 1), {61, 62, 63, 64}),
    ],
)
def test_lengths_of_every_way_are_tried(forward: Callable[..., Any], lengths: set[int]) -> None:
    original = run(forward, torch.randn(2, 32), dynamic_axes={"x": {1: ("n", 8, 64)}})
    tried = {batch["x"].shape[1] for batch in original.batches}
    assert tried & lengths


def test_the_way_is_recognised_by_its_condition() -> None:
    axes = {"x": {1: ("n", 8, 900)}}
    original = run(
        lambda m, x: x * 2 if x.shape[1] == 777 else x, torch.randn(2, 32), dynamic_axes=axes
    )
    assert [label for label in original.labels if "777" in label] == [
        "n = 777 (where forward goes another way than on the examples: not n != 777)"
    ]


class Middle(nn.Module):
    """Goes another way at 20 to 27, and has something that is in the way of finding it."""

    def __init__(self, extra: Callable[[Any], None]) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 3)
        self.switch = nn.Parameter(torch.ones(1))
        extra(self)

    def forward(self, x: Tensor) -> Tensor:
        y = self.layer(x) if self.switch.item() > 0 else x
        return y.mean(1) * (2 if 20 <= x.shape[1] <= 27 else 1)


def old_weight_norm(module: Middle) -> None:
    with pytest.warns(FutureWarning, match="is deprecated"):
        nn.utils.weight_norm(module.layer)


@pytest.mark.parametrize(
    "extra",
    [
        lambda module: None,
        old_weight_norm,
        lambda module: setattr(module, "kept", module.layer.weight * 2),
        lambda module: setattr(module, "lock", threading.Lock()),
    ],
    ids=["constant that is read", "old weight norm", "tensor of a gradient", "lock"],
)
def test_ways_are_found_past_what_cannot_be_copied(extra: Callable[[Any], None]) -> None:
    axes = {"x": {1: ("n", 16, 64)}}
    spec = ModelSpec("m", Middle(extra), {"x": torch.randn(2, 32, 6)}, ["y"], dynamic_axes=axes)
    tried = {batch["x"].shape[1] for batch in run_original(spec, 2).batches}
    assert tried & set(range(20, 28))


def test_where_ways_cannot_be_found_every_length_and_size_is_tried() -> None:
    def forward(module: Does, x: Tensor) -> Tensor:
        return x * 2 if x.sum() > 1e9 else x * torch.tensor(x.numpy() > 0)

    original = run(forward, torch.randn(2, 32), dynamic_axes={"x": {1: ("n", 8, 64)}})
    assert {batch["x"].shape[1] for batch in original.batches} == set(range(8, 65))
    assert sizes(original) == set(range(1, 9))


def test_a_length_that_the_module_does_not_take_is_named() -> None:
    axes = {"x": {1: ("n", 1, 9)}}
    with pytest.raises(TrimaranError) as refused:
        run(lambda m, x: x.unfold(1, 4, 1).mean(2), torch.randn(2, 6), dynamic_axes=axes)
    said = "fails in PyTorch on its own inputs at n = 1 (where forward goes another way"
    assert said in str(refused.value)
    assert "narrow the axis in dynamic_axes" in str(refused.value)


class Caches(nn.Module):
    """Keeps what it computed for a length, as rotary positions are kept."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[int, Tensor] = {}

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[1] not in self.kept:
            self.kept[x.shape[1]] = torch.arange(x.shape[1]).to(x)
        return x + self.kept[x.shape[1]]


def test_looking_for_other_ways_leaves_the_module_as_it_is() -> None:
    module = Caches()
    spec = ModelSpec("m", module, {"x": torch.randn(2, 4)}, ["y"], {"x": {1: ("n", 2, 9)}})
    run_original(spec, 4)
    assert {type(tensor) for tensor in module.kept.values()} == {Tensor}
