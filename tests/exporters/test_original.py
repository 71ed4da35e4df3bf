"""The trained module itself: what it is tried on, and why some cannot be served in batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from exporters.original import run_original
from exporters.spec import ModelSpec
from tests import models
from tests.exporters.originals import Does, run, sizes
from trimaran.system.errors import ParityError, TrimaranError


def test_the_module_is_run_on_its_examples_alone_and_in_batches_up_to_the_most() -> None:
    original = run_original(models.linear(), 5)
    assert sizes(original) == {1, 2, 3, 4, 5}
    example = original.spec.example_inputs["x"].numpy()
    assert original.labels[0] == "the example inputs"
    np.testing.assert_array_equal(original.batches[0]["x"], example)
    layer = original.spec.module.layer
    weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    for batch, answer in zip(original.batches, original.expected, strict=True):
        np.testing.assert_allclose(answer["y"], batch["x"] @ weight.T + bias, rtol=1e-4, atol=1e-5)


def test_every_row_is_tried_in_two_batches_of_other_sizes() -> None:
    original = run_original(models.linear(), 32)
    assert sizes(original) == {1, 2, 3, 4, 5, 6, 7, 32}
    small = np.concatenate([b["x"] for b in original.batches if len(b["x"]) < 32])
    large = next(b["x"] for b in original.batches if len(b["x"]) == 32)
    found = sum((small == row).all(1).any() for row in large)
    assert found >= 20


def test_an_output_of_a_strided_axis_is_open() -> None:
    axes = {"x": {2: ("samples", 100, 4000)}}
    spec = ModelSpec("m", nn.Conv1d(1, 4, 8, stride=8), {"x": torch.randn(2, 1, 1000)}, ["y"], axes)
    assert str(run_original(spec, 2).interface.outputs[0]) == "y FP32 [4, -1]"


MIXES: dict[str, tuple[Callable[..., Any], Tensor]] = {
    "mean": (lambda m, x: m.layer(x) - m.layer(x).mean(0), torch.randn(4, 6)),
    "example of ones": (lambda m, x: m.layer(x - x.mean(0)), torch.ones(4, 6)),
    "example of zeros": (lambda m, x: m.layer(x - x.mean(0)), torch.zeros(2, 6)),
    "nearly constant": (lambda m, x: m.layer(x - x.mean(0)), 5 + 1e-6 * torch.randn(2, 6)),
    "pixels of 128": (
        lambda m, x: x.float() - x.float().mean(),
        torch.full((2, 6), 128, dtype=torch.uint8),
    ),
    "zero tokens": (
        lambda m, x: m.table(x) + m.table(x).mean(0),
        torch.zeros(2, 5, dtype=torch.int64),
    ),
    "small outputs": (lambda m, x: m.layer(x - x.mean(0)) * 2e-5, torch.randn(4, 6)),
    "logarithm": (lambda m, x: x.log() - x.log().mean(0), torch.rand(2, 800)),
    "square root": (
        lambda m, x: x.sqrt() - x.sqrt().mean(0),
        torch.randint(0, 4, (4, 800)).float(),
    ),
    "largest of all": (lambda m, x: x / x.abs().max(), torch.ones(2, 6)),
    "branch on all": (lambda m, x: x * 2 if x.sum() > 0 else x * 3 - 1, torch.ones(2, 6)),
    "number of rows": (lambda m, x: x * 2 if x.shape[0] == 5 else x, torch.randn(2, 6)),
    "order": (lambda m, x: x.argsort(0), torch.randn(2, 6)),
    "integers alone": (lambda m, x: x - x.max(), torch.randint(0, 9, (2, 5))),
}


@pytest.mark.parametrize("kind", MIXES)
def test_rows_that_influence_one_another_are_refused(kind: str) -> None:
    with pytest.raises(ParityError) as refused:
        run(*MIXES[kind])
    said = str(refused.value)
    assert said.startswith("model m cannot be served in batches: output 'y': row ")
    assert "so requests may not be batched together; do not mix rows in forward" in said


def test_each_column_is_compared_by_its_own_size() -> None:
    def boxes(module: Does, x: Tensor) -> Tensor:
        y = module.layer(x)
        score = (y[:, 1:] - y[:, 1:].mean(0)).sigmoid()
        return torch.cat([y[:, :1].exp() * 5000, score], 1)

    with pytest.raises(ParityError, match="depends on the rows next to it"):
        run(boxes, torch.randn(4, 6))

    def masked(module: Does, x: Tensor) -> Tensor:
        y = module.layer(x - x.mean(0))
        return torch.where(torch.arange(3) > 0, -1e9, y)

    with pytest.raises(ParityError, match="depends on the rows next to it"):
        run(masked, torch.randn(4, 6))


def test_nan_in_one_row_must_not_reach_another() -> None:
    with pytest.raises(ParityError, match="NaN in one row changes the answer to another"):
        run(lambda m, x: m.layer(torch.where(x.isnan(), x.nanmean(0), x)), torch.randn(4, 6))


@pytest.mark.parametrize("dtype", [torch.int64, torch.float32, torch.bool])
def test_a_mask_of_ones_is_tried_as_padding(dtype: torch.dtype) -> None:
    class Cuts(nn.Module):
        def forward(self, x: Tensor, mask: Tensor) -> Tensor:
            return x[:, : int((mask > 0).any(0).sum())].mean(1)

    examples = {"x": torch.randn(2, 9, 4), "mask": torch.ones(2, 9, dtype=dtype)}
    with pytest.raises(ParityError, match="depends on the rows next to it"):
        run_original(ModelSpec("m", Cuts(), examples, ["y"]), 8)


def test_a_cause_that_is_known_is_named() -> None:
    class Padded(nn.Module):
        def __init__(self, *, nested: bool) -> None:
            super().__init__()
            torch.manual_seed(0)
            layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
            self.body = nn.TransformerEncoder(layer, 2, enable_nested_tensor=nested)

        def forward(self, x: Tensor, padding: Tensor) -> Tensor:
            return self.body(x, src_key_padding_mask=padding).sum(1)

    padding = torch.zeros(3, 6, dtype=torch.bool)
    padding[1, 4:] = padding[2, 2:] = True
    examples = {"x": torch.randn(3, 6, 16), "padding": padding}
    with pytest.raises(ParityError, match=r"body is an nn\.TransformerEncoder"):
        run_original(ModelSpec("m", Padded(nested=True), examples, ["y"]), 4)
    run_original(ModelSpec("m", Padded(nested=False), examples, ["y"]), 4)


@pytest.mark.parametrize(
    ("forward", "x"),
    [
        (lambda m, x: m.layer(x) * 1e6, torch.randn(2, 6)),
        (lambda m, x: x.log(), torch.rand(2, 6)),
        (lambda m, x: m.table(x).mean(1), torch.zeros(2, 5, dtype=torch.int64)),
        (lambda m, x: m.table(x).sum(2).argmax(1), torch.randint(0, 9, (2, 7))),
        (lambda m, x: m.layer(x.nan_to_num()), torch.tensor([[1.0, torch.nan] * 3] * 2)),
    ],
    ids=["huge", "only above zero", "constant tokens", "ties", "NaN in the examples"],
)
def test_rows_that_leave_one_another_alone_are_not_refused(
    forward: Callable[..., Any], x: Tensor
) -> None:
    assert sizes(run(forward, x)) >= {1, 2, 3, 4, 8}


def in_range(module: Does, x: Tensor) -> Tensor:
    if x.min() < 0 or x.max() > 1:
        raise ValueError("x must be in [0, 1]")
    return module.layer(x)


def test_what_a_module_does_not_take_is_not_tried() -> None:
    original = run(in_range, torch.rand(4, 6))
    assert all(0 <= batch["x"].min() <= batch["x"].max() <= 1 for batch in original.batches)
    assert len(set(original.labels)) > 3


def test_where_nothing_can_be_made_up_samples_are_asked_for() -> None:
    def knows(module: Does, x: Tensor) -> Tensor:
        if not all(any(torch.equal(row, one) for one in KNOWN) for row in x):
            raise ValueError("no such row")
        return module.layer(x)

    with pytest.raises(TrimaranError) as refused:
        run(knows, KNOWN)
    said = str(refused.value)
    assert "fails in PyTorch on the examples with noise: ValueError: no such row" in said
    assert "made up from the examples, so give `samples` in its ModelSpec" in said
    picked = run(knows, KNOWN, samples=lambda rows, seed: {"x": KNOWN[torch.arange(rows) % 3]})
    assert picked.labels.count("the model's samples") == 2
    with pytest.raises(TrimaranError, match="only equal rows were tried, which shows nothing"):
        run(knows, KNOWN, samples=lambda rows, seed: {"x": KNOWN[:1].expand(rows, 6)})


KNOWN = torch.tensor([[1.0, 2, 3, 4, 5, 6], [2, 3, 5, 7, 11, 13], [1, 4, 9, 16, 25, 36]])


def test_answers_that_are_no_numbers_show_nothing() -> None:
    with pytest.raises(TrimaranError, match="is NaN or infinite in most places for its example"):
        run(lambda m, x: (x - 100).log(), torch.randn(2, 6))

    def knows(module: Does, x: Tensor) -> Tensor:
        known = (x[:, None] == KNOWN).all(2).any(1).all()
        return torch.where(known, module.layer(x), torch.nan)

    with pytest.raises(TrimaranError) as refused:
        run(knows, torch.cat([KNOWN, KNOWN]))
    assert "answers NaN or infinity in most places of 'y' on" in str(refused.value)


def test_rows_that_are_never_batched_may_do_what_they_like() -> None:
    assert sizes(run(lambda m, x: m.layer(x + x.mean(0)), torch.randn(2, 6), 1)) == {1}


def test_an_output_that_is_one_number_shows_nothing() -> None:
    with pytest.raises(TrimaranError, match="answers one number to every row that was tried"):
        run(lambda m, x: (m.layer(x) - 1e6).relu(), torch.randn(2, 6))
    spec = ModelSpec(
        "m", Does(lambda m, x: (m.layer(x), x > 1e9)), {"x": torch.randn(2, 6)}, ["y", "z"]
    )
    assert [note.partition(" answers")[0] for note in run_original(spec, 4).notes] == ["output 'z'"]


class AddsInPlace(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.add_(1.0)


def test_a_module_that_writes_into_its_input_leaves_the_batches_alone() -> None:
    original = run_original(ModelSpec("m", AddsInPlace(), {"x": torch.zeros(2, 3)}, ["y"]), 3)
    for batch, answer in zip(original.batches, original.expected, strict=True):
        np.testing.assert_array_equal(answer["y"], batch["x"] + np.float32(1))


class FixedBatch(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(2, 8) * 2


def test_a_module_for_one_batch_size_is_refused() -> None:
    spec = ModelSpec("m", FixedBatch(), {"x": torch.zeros(2, 8)}, ["y"])
    with pytest.raises(
        TrimaranError, match="model m fails in PyTorch on its own inputs in a batch of 1"
    ) as refused:
        run_original(spec, 4)
    assert "\n" not in str(refused.value)


class TakesOne(nn.Module):
    def __init__(self, first: object, second: object) -> None:
        super().__init__()
        self.first, self.second = first, second

    def forward(self, batch: Any) -> Tensor:
        return batch[self.first] + batch[self.second]


@pytest.mark.parametrize(("keys", "kind"), [(("a", "b"), "dict"), ((0, 1), "list")])
def test_a_module_that_takes_a_collection_is_refused(keys: tuple[Any, Any], kind: str) -> None:
    examples = {"a": torch.randn(2, 3), "b": torch.randn(2, 3)}
    with pytest.raises(TrimaranError, match=rf"forward takes one {kind}.*wrap it in a module that"):
        run_original(ModelSpec("m", TakesOne(*keys), examples, ["y"]), 4)


class Remembers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return x + self.calls


class Drops(nn.Module):
    def __init__(self, size: float = 1.0) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.dropout(x, training=True) * self.size


@pytest.mark.parametrize("module", [Remembers(), Drops(), Drops(1e-6)])
@pytest.mark.parametrize("most", [1, 4])
@pytest.mark.parametrize("example", [torch.ones(2, 64), torch.zeros(2, 64)])
def test_a_module_that_answers_differently_when_asked_again_is_refused(
    module: nn.Module, most: int, example: Tensor
) -> None:
    with pytest.raises(ParityError, match="model m gives different answers when run again"):
        run_original(ModelSpec("m", module, {"x": example}, ["y"]), most)


def test_a_module_put_back_into_training_is_run_in_eval_mode() -> None:
    spec = ModelSpec("m", nn.Dropout(0.5), {"x": torch.ones(2, 64)}, ["y"])
    spec.module.train()
    answers = run_original(spec, 1).expected
    assert (answers[0]["y"] != 0).all()
