"""The kinds of mutation, in the words of the report, and the changes of one constant."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

__all__ = ["INSERTED", "KINDS", "Change", "changed_indices", "changed_weights", "transposed"]

Graph = TypeVar("Graph")

KINDS = (
    "a weight by 1 %",
    "one number of a weight by 1 %",
    "a bias dropped",
    "a weight's axes swapped or reversed",
    "half precision in one layer",
    "eps of a norm by 100",
    "a factor by 1 %",
    "an activation for its neighbour",
    "an activation's approximation",
    "an operator for its neighbour",
    "a pooling or reduction for its neighbour",
    "another axis",
    "an attribute flipped",
    "a slice or index off by one",
    "a size baked in",
    "an input taken as constant",
    "rows mixed",
    "the first row's value for all",
    "randomness",
    "values cut off at the example's",
    "a branch on values baked in",
    "wrong at some lengths",
    "wrong at some batch sizes",
)
"""In the order of the report."""

INSERTED = frozenset(KINDS[KINDS.index("rows mixed") :])
"""Those that put a function after a value, and so apply to every graph."""


@dataclass(frozen=True)
class Change(Generic[Graph]):
    """One way to make an artifact wrong: `apply` edits a fresh copy of its graph."""

    kind: str
    what: str
    apply: Callable[[Graph], None]


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
