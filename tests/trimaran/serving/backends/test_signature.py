"""Which argument an input is, and which result an output is."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch

from trimaran.serving.backends.signature import (
    Argument,
    as_array,
    as_values,
    call_order,
    output_positions,
)


def named(inputs: Sequence[str], outputs: Sequence[str] = ()) -> dict[str, object]:
    """A configuration in Triton's JSON form with tensors of these names."""
    return {
        "name": "m",
        "input": [{"name": name} for name in inputs],
        "output": [{"name": name} for name in outputs],
    }


def arguments(*kinds: str) -> list[Argument]:
    return [Argument(f"arg{index}", kind, kind) for index, kind in enumerate(kinds)]


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        (["arg1", "arg0"], ["arg0", "arg1"]),
        (["a__1", "b__0"], ["b__0", "a__1"]),
        (["arg1", "b__0"], ["arg1", "b__0"]),
        (["a__1", "b__x"], ["a__1", "b__x"]),
        (["a__1__0", "b__1"], ["a__1__0", "b__1"]),
    ],
)
def test_the_order_of_a_call(inputs: Sequence[str], expected: Sequence[str]) -> None:
    assert call_order(named(inputs), arguments("TensorType", "ListType")) == expected


@pytest.mark.parametrize(
    ("inputs", "kinds", "words"),
    [
        (["a__0", "b__2"], ("TensorType", "TensorType"), "do not have the indices 0 to 1"),
        (["a"], ("FloatType",), "An input of type 'FloatType' was detected in the model"),
        (["a", "b"], ("DictType", "DictType"), "Multiple inputs of kind DictType were detected"),
        ([], ("DictType",), "must contain at least one input, none were specified"),
    ],
)
def test_calls_that_cannot_be_made(inputs: Sequence[str], kinds: Sequence[str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        call_order(named(inputs), arguments(*kinds))


@pytest.mark.parametrize(
    ("outputs", "expected"),
    [
        (["b__1", "a__0"], {"b__1": 1, "a__0": 0}),
        (["b__1", "a"], {"b__1": 0, "a": 1}),
    ],
)
def test_the_places_of_outputs(outputs: Sequence[str], expected: dict[str, int]) -> None:
    assert output_positions(named([], outputs)) == expected


@pytest.mark.parametrize(
    ("position", "data_type", "value", "words"),
    [
        (0, "TYPE_FP64", torch.ones(1), "expects datatype TYPE_FP64 for output 'y__0', model"),
        (0, "TYPE_FP32", torch.ones(1, dtype=torch.bfloat16), "model provides TYPE_BF16"),
        (0, "TYPE_FP32", ["text"], "model provides TYPE_STRING"),
        (1, "TYPE_FP32", torch.ones(1), "an output index which doesn't exist. This model has 1"),
        (0, "TYPE_FP32", torch.tensor(1.0), "output 'y__0' is a scalar which is not supported"),
    ],
    ids=["type", "unserved type", "text", "index", "scalar"],
)
def test_results_that_are_not_what_was_configured(
    position: int, data_type: str, value: object, words: str
) -> None:
    item = {"name": "y__0", "data_type": data_type}
    with pytest.raises(ValueError, match=words):
        as_array(item, position, as_values(value))


@pytest.mark.parametrize("value", [[torch.ones(1)], {"y": torch.ones(1)}, 1.0])
def test_results_that_cannot_be_served(value: object) -> None:
    with pytest.raises(TypeError, match=r"output must be of type Tensor, List\[str\] or Tuple"):
        as_values(value)
    with pytest.raises(TypeError, match="output at index 1 must be of type Tensor"):
        as_values((torch.ones(1), value))
