"""Shapley values of a row's fields, by sampled orders of the fields.

In each order a row of the background becomes the explained row, one field after the other, and each
change of the answer is the contribution of the field that changed it. The mean over the orders is
an unbiased estimate of the Shapley value (E. Štrumbelj and I. Kononenko, "Explaining prediction
models and individual predictions with feature contributions", 2014). Each background row has one
order, and every other order is the one before it backwards, which lessens the spread.

So a row's contributions add up to its answer less the mean answer of the background. Where an
answer is a sum over fields, each is its part of the sum less the mean of that part.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Answer", "Columns", "contributions"]

Columns = Sequence[npt.NDArray[Any]]
"""Of each field, the values of some rows `[rows]`, of any dtype."""
Answer = Callable[[Columns, npt.NDArray[np.int64]], npt.NDArray[np.floating[Any]]]
"""The answers `[points]` to made-up rows `[points]`, with the explained row that each is for."""

_CELLS_AT_ONCE = 2_000_000


def contributions(
    answer: Answer,
    rows: Columns,
    background: Columns,
    *,
    seed: int = 0,
    done: Callable[[int], None] = lambda rows: None,
) -> npt.NDArray[np.float64]:
    """What each field adds to the answer to each row, `[rows, fields]`.

    `rows` and `background` have the same fields. `done` is called with how many rows are done.
    """
    fields, count = len(rows), len(rows[0])
    places = _places(fields, len(background[0]), seed)
    order = np.argsort(places, axis=1)
    # At step k the first k fields of the order are the row's own: [background, steps, fields].
    own = places[:, None, :] < np.arange(fields + 1)[None, :, None]
    at_once = max(1, _CELLS_AT_ONCE // own.size)
    found = np.zeros((count, fields))
    for first in range(0, count, at_once):
        last = min(first + at_once, count)
        part = [column[first:last, None] for column in rows]
        pairs = list(zip(part, background, strict=True))
        differs = np.stack([mine != others for mine, others in pairs], axis=2)
        # A step whose field has the same value in both rows changes nothing, and is not asked.
        asked = np.ones((last - first, *own.shape[:2]), dtype=bool)
        asked[:, :, 1:] = np.take_along_axis(differs, order[None], axis=2)
        row, other, step = np.nonzero(asked)
        points = [
            np.where(own[other, step, field], mine[row, 0], others[other])
            for field, (mine, others) in enumerate(pairs)
        ]
        steps = _filled(answer(points, row + first), asked)
        changes = np.diff(steps, axis=2)
        found[first:last] = np.take_along_axis(changes, places[None], axis=2).mean(axis=1)
        done(last)
    return found


def _filled(
    answers: npt.NDArray[np.floating[Any]], asked: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float64]:
    """The answers at all steps; one that was not asked is that of the step before."""
    last = np.cumsum(asked.reshape(-1)) - 1
    return answers.astype(np.float64)[last].reshape(asked.shape)


def _places(fields: int, orders: int, seed: int) -> npt.NDArray[np.int64]:
    """The place of each field in each order, `[orders, fields]`."""
    drawn = np.random.default_rng(seed)
    forward = [drawn.permutation(fields) for _ in range((orders + 1) // 2)]
    both = [place for each in forward for place in (each, fields - 1 - each)]
    return np.array(both[:orders])
