"""BYTES tensors as text, which is how the runtimes' Python interfaces take them."""

from __future__ import annotations

import numpy as np

__all__ = ["decoded"]


def decoded(name: str, array: np.ndarray) -> np.ndarray:
    """An array of `bytes` (dtype object) as one of `str`, in the same shape.

    Raises `ValueError` naming the input where a value is not UTF-8.
    """
    try:
        values = [value.decode() for value in array.reshape(-1)]
    except UnicodeDecodeError as error:
        raise ValueError(f"input '{name}' holds a value that is not UTF-8 text") from error
    result = np.empty(len(values), dtype=object)
    result[:] = values
    return result.reshape(array.shape)
