"""What may be wrong about one constant of a graph, as functions on arrays."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

__all__ = ["changed_indices", "changed_weights", "transposed"]


def changed_weights(
    weight: np.ndarray, is_bias: bool, rng: np.random.Generator
) -> Iterator[tuple[str, str, np.ndarray]]:
    """Kind, words, and the array in place of `weight`: floating, with an axis or more."""
    if weight.dtype.kind != "f" or weight.size < 2:
        return
    yield "a weight by 1 %", "times 1.01", (weight * 1.01).astype(weight.dtype)
    flat = np.abs(weight).ravel()
    place = int(rng.choice(np.flatnonzero(flat >= np.median(flat))))
    one = weight.copy().reshape(-1)
    one[place] *= 1.01
    index = [int(i) for i in np.unravel_index(place, weight.shape)]
    yield "one number of a weight by 1 %", f"element {index} by 1.01", one.reshape(weight.shape)
    if is_bias and np.any(weight):
        yield "a bias dropped", "zeros", np.zeros_like(weight)
    yield "half precision in one layer", "rounded to float16", _rounded(weight, 10)
    yield "half precision in one layer", "rounded to bfloat16", _rounded(weight, 7)
    if weight.ndim > 1:
        words, other = transposed(weight)
        yield "a weight's axes swapped or reversed", words, other


def transposed(weight: np.ndarray) -> tuple[str, np.ndarray]:
    """The last two axes swapped where they are of one length, or else the last but one reversed."""
    if weight.shape[-1] == weight.shape[-2] > 1:
        return "last two axes swapped", np.ascontiguousarray(np.swapaxes(weight, -1, -2))
    axis = max(range(weight.ndim), key=lambda a: (weight.shape[a] > 1, a == 1))
    return f"axis {axis} reversed", np.ascontiguousarray(np.flip(weight, axis))


def changed_indices(index: np.ndarray) -> Iterator[np.ndarray]:
    """An index or a bound, one more and one less."""
    if index.dtype.kind == "i" and index.size == 1:
        for moved in (1, -1):
            if abs(int(index.reshape(-1)[0])) < 2**31:
                yield np.asarray(index + moved, index.dtype)


def _rounded(weight: np.ndarray, bits: int) -> np.ndarray:
    """The nearest numbers with so many bits after the leading one."""
    if bits == 10:
        return weight.astype(np.float16).astype(weight.dtype)
    mantissa, exponent = np.frexp(weight)
    scale = 2.0 ** (bits + 1)
    return np.ldexp(np.round(mantissa * scale) / scale, exponent).astype(weight.dtype)
