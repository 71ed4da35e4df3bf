"""What `forward` may return."""

from __future__ import annotations

import pytest
import torch

from trimaran.serving.backends.signature import as_array, as_values


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
