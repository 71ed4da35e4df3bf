"""What `forward` returned, as the arrays of the configured outputs.

Checked as the native PyTorch backend checks it, in its words, after every call: TorchScript does
not say beforehand what it returns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from trimaran.repository.dtypes import DTYPES

__all__ = ["as_array", "as_values"]

_TYPES = {f"torch.{dtype.torch}": dtype.config for dtype in DTYPES if dtype.torch}


def as_values(result: Any) -> tuple[Any, ...]:
    """The tensors and lists of text that a call returned. Raises `TypeError` for anything else."""
    if isinstance(result, tuple):
        for index, value in enumerate(result):
            _require_servable(value, f"output at index {index}")
        return result
    _require_servable(result, "output")
    return (result,)


def as_array(item: Mapping[str, Any], position: int, values: Sequence[Any]) -> np.ndarray:
    """The value of one output, `item` of the configuration, which is number `position`.

    Raises `ValueError` where there is none, or it is a scalar or of another type than configured.
    """
    name, wanted = item["name"], item["data_type"]
    if position >= len(values):
        raise ValueError(
            f"The output {name} in the model configuration refers to an output index which "
            f"doesn't exist. This model has {len(values)} outputs"
        )
    value = values[position]
    is_text = isinstance(value, list)
    found = "TYPE_STRING" if is_text else _TYPES.get(str(value.dtype), "TYPE_INVALID")
    if found != wanted:
        raise ValueError(
            f"configuration expects datatype {wanted} for output '{name}', model provides {found}"
        )
    if is_text:
        return np.array(value, dtype=object)
    if value.dim() == 0:
        raise ValueError(f"output '{name}' is a scalar which is not supported.")
    array: np.ndarray = value.numpy()
    return array


def _require_servable(value: Any, what: str) -> None:
    import torch

    is_text = isinstance(value, list) and all(isinstance(text, str) for text in value)
    if not is_text and not isinstance(value, torch.Tensor):
        raise TypeError(
            f"{what} must be of type Tensor, List[str] or Tuple containing one of these two "
            "types. It should not be a List / Dictionary of Tensors or a Scalar"
        )
