"""How inputs reach a module's parameters, and how its answers are read."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from exporters.calling import PositionalModule, read_outputs
from exporters.spec import ModelSpec
from trimaran.system.errors import TrimaranError

A, B, C = torch.zeros(2), torch.ones(2), torch.full((2,), 2.0)


class Optional(nn.Module):
    def forward(self, x: Tensor, y: Tensor | None = None, *, z: Tensor | None = None) -> Tensor:
        return x + (0 if y is None else 10 * y) + (0 if z is None else 100 * z)


@pytest.mark.parametrize(
    ("names", "answer"),
    [(["x", "z"], 201.0), (["z", "x"], 102.0), (["y", "x"], 12.0), (["first", "second"], 21.0)],
)
def test_inputs_are_passed_by_name_where_forward_has_the_names(
    names: list[str], answer: float
) -> None:
    assert PositionalModule(Optional(), ["out"], names)(B, C)[0][0] == answer


def test_without_names_inputs_are_passed_by_position() -> None:
    assert PositionalModule(Optional(), ["out"])(B, C)[0][0] == 21.0


def test_a_name_that_would_reach_another_parameter_is_refused() -> None:
    with pytest.raises(TrimaranError) as refused:
        ModelSpec("m", Optional(), {"tokens": A, "z": B}, ["out"])
    assert "input 'z' would be passed by position to forward's parameter 'y'" in str(refused.value)


@dataclass
class Answer:
    first: Tensor
    missing: Tensor | None
    others: tuple[Tensor, ...]


class Named(NamedTuple):
    first: Tensor
    second: Tensor


@pytest.mark.parametrize(
    ("result", "names", "expected"),
    [
        ((A, None, [B, (C,)]), ["a", "b", "c"], [A, B, C]),
        ((A, {"b": B}), ["x", "y"], [A, B]),
        (OrderedDict(b=B, a=A, cache=object()), ["a", "b"], [A, B]),
        ({"a": A, "inner": {"b": B, "c": (A, C)}}, ["inner_c_1", "inner_b"], [C, B]),
        (Answer(A, None, (B, C)), ["others_1", "first"], [C, A]),
        (Named(A, B), ["second", "first"], [B, A]),
        (Named(A, B), ["y", "z"], [A, B]),
    ],
)
def test_answers_of_every_kind_are_read(result: Any, names: list[str], expected: list) -> None:
    found = read_outputs(result, names)
    assert len(found) == len(expected)
    assert all(one is other for one, other in zip(found, expected, strict=True))


@pytest.mark.parametrize(
    ("result", "said"),
    [
        ({"a": A}, "the module answers 'a', and not 'y'"),
        (Answer(A, None, ()), "the module answers 'first', and not 'y'"),
        ((A, B), "answers 2 tensors, output_names has 1"),
        (None, "answers NoneType; answer a tensor"),
    ],
)
def test_an_answer_without_the_outputs_is_refused(result: Any, said: str) -> None:
    with pytest.raises(TrimaranError, match=said.replace("(", r"\(")):
        read_outputs(result, ["y"])
