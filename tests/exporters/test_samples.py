"""Inputs to try an artifact on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from exporters.samples import draw_samples
from exporters.spec import ModelSpec
from tests import models
from trimaran.system.errors import TrimaranError

EXAMPLES = {
    "image": torch.rand(2, 3, 4, 4),
    "half": torch.rand(2, 5).half(),
    "double": torch.rand(2, 5).double(),
    "tokens": torch.tensor([[3, 9], [4, 7]]),
    "small": torch.tensor([[-3], [2]], dtype=torch.int8),
    "byte": torch.tensor([[250], [255]], dtype=torch.uint8),
    "mask": torch.tensor([[True], [True]]),
    "constant": torch.full((2, 1), 7.0),
}


def spec(**changed: Any) -> ModelSpec:
    return ModelSpec("m", nn.Identity(), EXAMPLES, ["y"], **changed)


@pytest.mark.parametrize("rows", [1, 3, 32])
def test_made_up_inputs_look_like_the_examples(rows: int) -> None:
    drawn = draw_samples(spec(), rows, seed=1)
    assert list(drawn) == list(EXAMPLES)
    for name, example in EXAMPLES.items():
        assert drawn[name].shape == (rows, *example.shape[1:])
        assert drawn[name].dtype == example.dtype
        assert drawn[name].double().isfinite().all()
    for name in ("tokens", "small", "byte"):
        assert drawn[name].min() >= EXAMPLES[name].min()
        assert drawn[name].max() <= EXAMPLES[name].max()


def test_the_same_seed_draws_the_same_and_another_does_not() -> None:
    first, again, other = (draw_samples(spec(), 8, seed) for seed in (1, 1, 2))
    for name in EXAMPLES:
        assert torch.equal(first[name], again[name])
    assert not torch.equal(first["image"], other["image"])
    assert not torch.equal(first["tokens"], other["tokens"])


def test_what_is_drawn_covers_what_the_examples_span() -> None:
    drawn = draw_samples(spec(), 200, seed=1)
    assert set(drawn["tokens"].unique().tolist()) == set(range(3, 10))
    assert set(drawn["mask"].unique().tolist()) == {False, True}


def test_lengths_are_set_by_name_for_every_input_that_has_the_axis() -> None:
    tokens = models.tokens()
    drawn = draw_samples(tokens, 3, 1, {"sequence": 64})
    assert {name: list(t.shape) for name, t in drawn.items()} == {
        "tokens": [3, 64],
        "mask": [3, 64],
        "scale": [3],
    }


@pytest.mark.parametrize("value", [0.0, 1.0, 128.0])
def test_a_constant_example_gets_noise_of_its_size(value: float) -> None:
    constant = ModelSpec("m", nn.Identity(), {"x": torch.full((2, 9), value)}, ["y"])
    size = value or 1.0
    assert 0.5 * size < draw_samples(constant, 64, 1)["x"].std() < 2 * size


def test_a_constant_integer_is_drawn_from_what_the_module_takes() -> None:
    tokens = ModelSpec("m", nn.Identity(), {"x": torch.zeros(2, 9, dtype=torch.int64)}, ["y"])
    drawn = draw_samples(tokens, 64, 1, spans={"x": (0, 20)})["x"]
    assert set(drawn.unique().tolist()) == set(range(21))


def test_a_models_own_samples_are_taken() -> None:
    asked = []

    def samples(rows: int, seed: int) -> Mapping[str, Tensor]:
        asked.append((rows, seed))
        return {"extra": X[:rows], "x": torch.full((rows, 4), float(seed))}

    own = ModelSpec("m", nn.Identity(), {"x": X}, ["y"], samples=samples)
    drawn = draw_samples(own, 3, seed=9)
    assert asked == [(3, 9)]
    assert list(drawn) == ["x"]
    assert torch.equal(drawn["x"], torch.full((3, 4), 9.0))


X = torch.zeros(2, 4)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "gave nothing for input 'x'"),
        ({"x": torch.zeros(2, 4)}, "gave torch.float32 [2, 4] for input 'x'"),
        ({"x": torch.zeros(3, 4).double()}, "gave torch.float64 [3, 4] for input 'x'"),
        ({"x": torch.zeros(3, 5)}, "gave torch.float32 [3, 5] for input 'x'"),
        ({"x": torch.zeros(3)}, "gave torch.float32 [3] for input 'x'"),
        ({"x": [0.0]}, "gave list for input 'x'"),
    ],
)
def test_samples_of_another_kind_are_refused(given: dict[str, Any], said: str) -> None:
    own = ModelSpec("m", nn.Identity(), {"x": X}, ["y"], samples=lambda rows, seed: given)
    with pytest.raises(TrimaranError) as refused:
        draw_samples(own, 3, seed=9)
    assert said in str(refused.value)
    assert "it needs torch.float32 [3, 4]" in str(refused.value)


def test_samples_that_take_lengths_are_asked_for_them() -> None:
    asked = []

    def samples(
        rows: int, seed: int, lengths: Mapping[str, int] | None = None
    ) -> Mapping[str, Tensor]:
        asked.append(lengths)
        return {"x": torch.zeros(rows, (lengths or {}).get("n", 4))}

    own = ModelSpec(
        "m", nn.Identity(), {"x": X}, ["y"], dynamic_axes={"x": {1: ("n", 1, 9)}}, samples=samples
    )
    assert draw_samples(own, 3, 1)["x"].shape == (3, 4)
    assert draw_samples(own, 3, 1, {"n": 9})["x"].shape == (3, 9)
    assert asked == [None, {"n": 9}]


def test_samples_that_take_no_lengths_are_cut_and_repeated() -> None:
    own = ModelSpec(
        "m", nn.Identity(), {"x": X}, ["y"], dynamic_axes={"x": {1: ("n", 1, 9)}},
        samples=lambda rows, seed: {"x": torch.arange(4.0).expand(rows, 4)},
    )  # fmt: skip
    assert draw_samples(own, 3, 1, {"n": 2})["x"].tolist() == [[0, 1]] * 3
    assert draw_samples(own, 1, 1, {"n": 6})["x"].tolist() == [[0, 1, 2, 3, 0, 1]]


def test_samples_of_another_length_than_asked_for_are_refused() -> None:
    own = ModelSpec(
        "m", nn.Identity(), {"x": X}, ["y"], dynamic_axes={"x": {1: ("n", 1, 9)}},
        samples=lambda rows, seed, lengths=None: {"x": torch.zeros(rows, 4)},
    )  # fmt: skip
    with pytest.raises(TrimaranError, match=r"it needs torch.float32 \[3, 9\]"):
        draw_samples(own, 3, 1, {"n": 9})
