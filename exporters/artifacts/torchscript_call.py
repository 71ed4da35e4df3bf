"""A TorchScript module called with arrays, as Triton's `pytorch` backend calls it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from exporters.artifacts.artifact import FileTensor, UnservableError
from exporters.parity import Arrays, Run
from exporters.quiet import quiet

__all__ = ["RESULTS", "caller", "takes_dictionary"]

RESULTS = (
    "a tensor, a list of text, or a tuple of these; wrap the model in a module whose forward "
    "returns a tuple of tensors instead, and script or trace that"
)
"""What the backend takes, and the remedy where `forward` returns something else."""


def takes_dictionary(arguments: Sequence[Any]) -> bool:
    return len(arguments) == 1 and str(arguments[0].type) == "Dict[str, Tensor]"


def caller(module: Any, inputs: Sequence[FileTensor]) -> Run:
    """`module` on arrays by name; its results by their position as text, `0` first."""
    as_dictionary = takes_dictionary(module.forward.schema.arguments[1:])

    def run(arrays: Arrays) -> Arrays:
        values = {tensor.name: _value(arrays[tensor.name]) for tensor in inputs}
        with quiet(), torch.inference_mode():
            result = module(values) if as_dictionary else module(*values.values())
        is_tuple = isinstance(result, tuple)
        results = result if is_tuple else (result,)
        return {str(i): _array(value, nested=is_tuple) for i, value in enumerate(results)}

    return run


def _value(array: np.ndarray) -> Any:
    return array.tolist() if array.dtype == object else torch.tensor(array)


def _array(value: Any, *, nested: bool) -> np.ndarray:
    if isinstance(value, torch.Tensor):
        if value.dtype == torch.bfloat16 or value.is_complex() or value.is_sparse:
            raise UnservableError(
                f"forward returns {value.dtype}{' as sparse' if value.is_sparse else ''}, which "
                "NumPy and Triton cannot carry; convert it in forward"
            )
        return value.numpy()
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return np.array(value, dtype=object)
    raise UnservableError(
        f"forward returns a {type(value).__name__}{' in a tuple' if nested else ''}, and Triton's "
        f"pytorch backend takes {RESULTS}"
    )
