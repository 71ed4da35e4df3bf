"""The training rows that are stored with a transform, to impute missing numbers from."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import numpy.typing as npt

from trimaran.served.transform import Neighbours

__all__ = ["COUNT", "STORED_ROWS", "fit_neighbours"]

COUNT = 5
"""Neighbours whose mean a missing number becomes: the usual number, as in scikit-learn."""
STORED_ROWS = 500
"""A request is compared with each of them, so they are few."""


def fit_neighbours(
    numbers: npt.NDArray[np.float64],
    names: Sequence[str],
    imputed: Sequence[str],
    dropped: Collection[str],
    seed: int,
) -> Neighbours | None:
    """Rows for the `imputed` columns of `numbers`, float64 `[rows, len(names)]`, NaN where missing.

    At most `STORED_ROWS` rows, chosen by `seed` among those that hold every imputed column, or
    among all where fewer than `COUNT` do. Their other gaps are filled with medians. A column's
    spread is its standard deviation, or 1 where it does not vary. A `dropped` column is its median
    in every row, so that it tells none of them apart. None when there is nothing to impute.
    """
    if not imputed:
        return None
    known = ~np.isnan(numbers)
    present = [numbers[known[:, place], place] for place in range(len(names))]
    median = np.array([np.median(values) if len(values) else 0.0 for values in present])
    spread = np.array([np.std(values) if len(values) else 0.0 for values in present])
    complete = np.where(known, numbers, median)
    constant = [place for place, name in enumerate(names) if name in dropped]
    complete[:, constant] = median[constant]
    donors = np.flatnonzero(known[:, [names.index(name) for name in imputed]].all(axis=1))
    if len(donors) < COUNT:
        donors = np.arange(len(numbers))
    size = min(STORED_ROWS, len(donors))
    chosen = np.sort(np.random.default_rng(seed).choice(donors, size, replace=False))
    return Neighbours(
        columns=list(imputed),
        rows=complete[chosen].tolist(),
        spread=np.where(spread > 0, spread, 1.0).tolist(),
        count=min(COUNT, size),
    )
