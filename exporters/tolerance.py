"""How far an element may be off: by a share of itself, and by a share of its row's scale."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from trimaran.repository.dtypes import DType

__all__ = [
    "DEFAULT_TOLERANCES",
    "LEAST_FINITE",
    "column_shares",
    "finite_share",
    "row_limits",
    "scale_of",
    "tolerance_for",
    "typical_scale",
]

DEFAULT_TOLERANCES: Mapping[str, tuple[float, float]] = {
    "FP64": (1e-7, 1e-7),
    "FP32": (1e-4, 1e-4),
    "FP16": (1e-2, 1e-2),
}
"""By output type: the share of an element, and the share of the output's scale, that it may be off.
Wide enough for a deep network whose sums another runtime adds in another order
(docs/architectures.md has the errors), and below the error of a wrong operator
(docs/gate.md). All other types must be equal."""
LEAST_FINITE = 0.5
"""The share of an output that has to be finite for a batch to show anything."""
_FILLER = 1e3
"""A repeated number above this, and as much larger than all others, only fills masked places."""
_ABSURD = 1e6
"""The same for a number that stands alone."""
_FILLERS = 3
_LEAST_SHARE = 1e-2


def tolerance_for(
    dtype: DType, scale: float, chosen: tuple[float, float] | None = None
) -> tuple[float, float]:
    """`(rtol, atol)` of an output: that of the `ModelSpec`, or that of its type at its `scale`."""
    if chosen is not None:
        return chosen
    rtol, share = DEFAULT_TOLERANCES.get(dtype.triton, (0.0, 0.0))
    return rtol, share * scale


def row_limits(
    dtype: DType,
    expected: np.ndarray,
    typical: float,
    chosen: tuple[float, float] | None,
    shares: Mapping[int, np.ndarray] | None = None,
) -> tuple[float, np.ndarray]:
    """`rtol`, and an `atol` for each row of `expected`, `[rows, 1, ...]`.

    A row's scale is its own, or that of a `typical` row where that is larger: the small numbers of
    a row among larger ones are rounding, and a row of large numbers may round more. `shares` are
    those of `column_shares`: the smallest at an element's place lowers its limit.
    """
    rtol, _ = tolerance_for(dtype, 0.0, chosen)
    scales = np.maximum(_row_scales(expected), typical)
    atol = np.asarray([tolerance_for(dtype, scale, chosen)[1] for scale in scales])
    limits = atol.reshape(-1, *[1] * (expected.ndim - 1))
    least = np.ones([1] * expected.ndim)
    for axis, share in (shares or {}).items() if chosen is None else ():
        shape = [len(share) if k == axis else 1 for k in range(expected.ndim)]
        least = np.minimum(least, share.reshape(shape))
    return rtol, limits * least if (shares and chosen is None) else limits


def scale_of(arrays: Iterable[np.ndarray]) -> float:
    """The root mean square of an output's usual numbers, 0 where there are none.

    Infinite numbers and NaN are left out, and so is a filler of masked places such as -1e9: the
    largest number, where it is repeated and a thousand times the others.
    """
    total, count = 0.0, 0
    for array in arrays:
        if array.dtype.kind == "f" and array.size:
            numbers, usual = _usual(array.reshape(1, -1))
            total, count = total + float(np.square(numbers).sum()), count + int(usual.sum())
    return float(np.sqrt(total / count)) if count else 0.0


def typical_scale(arrays: Iterable[np.ndarray]) -> float:
    """The median of all rows' scales, those of rows without a number left out; arrays are
    `[rows, ...]`.
    """
    scales = np.concatenate([_row_scales(array) for array in arrays])
    return float(np.median(scales[scales > 0])) if (scales > 0).any() else 0.0


def column_shares(answers: Sequence[np.ndarray]) -> dict[int, np.ndarray]:
    """How large an output is at each place along an axis, as a share of all of it: 0.01 to 1.

    By axis, for those of one length in all of `answers`, `[rows, ...]` each. A score next to a box
    in one tensor is compared by its own size. A column that cancels out is compared by a hundredth
    of the others, since it has their rounding.
    """
    shapes = {answer.shape[1:] for answer in answers}
    ranks = {len(shape) for shape in shapes}
    if len(ranks) != 1 or not all(answer.dtype.kind == "f" for answer in answers):
        return {}
    found = {}
    for axis in range(ranks.pop()):
        if len({shape[axis] for shape in shapes}) == 1 and next(iter(shapes))[axis] > 1:
            squares = [_squares_along(answer, axis + 1) for answer in answers if len(answer)]
            mean = np.mean(squares, axis=0)
            if mean.any():
                size = np.sqrt(mean / mean.mean())
                found[axis + 1] = np.clip(size, _LEAST_SHARE, 1.0)
    return found


def finite_share(array: np.ndarray) -> float:
    """The share of an output that is neither NaN nor infinite; 1 for other types."""
    if array.dtype.kind != "f" or array.size == 0:
        return 1.0
    return float(np.isfinite(array).mean())


def _row_scales(array: np.ndarray) -> np.ndarray:
    """The root mean square of each row's usual numbers, `[rows]`."""
    rows = len(array)
    if array.dtype.kind != "f" or array.size == 0:
        return np.zeros(rows)
    numbers, usual = _usual(array.reshape(rows, -1))
    return np.sqrt(np.square(numbers).sum(1) / np.maximum(usual.sum(1), 1))


def _usual(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`[rows, n]` as float64 with zeros for unusual numbers, and which ones are usual."""
    usual = np.isfinite(rows)
    numbers = np.where(usual, rows, 0.0).astype(np.float64)
    for _ in range(_FILLERS):
        largest = np.abs(numbers).max()
        fills = np.abs(numbers) == largest
        squares, count = np.square(np.where(fills, 0.0, numbers)).sum(), (usual & ~fills).sum()
        beyond = _FILLER if fills.sum() > 1 else _ABSURD
        if not squares or largest <= beyond * max(1.0, np.sqrt(squares / count)):
            break
        usual &= ~fills
        numbers = np.where(fills, 0.0, numbers)
    return numbers, usual


def _squares_along(answer: np.ndarray, axis: int) -> np.ndarray:
    """The mean square at each place along an axis, each row by its own scale."""
    rows = len(answer)
    numbers, _ = _usual(answer.reshape(rows, -1))
    numbers /= np.maximum(np.abs(numbers).max(axis=1, keepdims=True), np.finfo(np.float64).tiny)
    shaped = np.square(numbers).reshape(answer.shape)
    return shaped.mean(axis=tuple(k for k in range(answer.ndim) if k != axis))
