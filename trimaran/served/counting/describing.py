"""From values to a reference: where its edges are, and how many rows are in each of its bins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from trimaran.served.counting.distribution import Codes, Reference, Tally

__all__ = ["described", "number_edges"]

_BINS = 10
_DIGITS = 4


def number_edges(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Between tenths of `values` `[rows]`, NaN left out; fewer where values are few.

    Rounded, so that every bin has a name of its own, and none is below the least value.
    """
    present = values[~np.isnan(values)]
    if not len(present):
        return np.array([])
    tenths = np.quantile(present, np.arange(1, _BINS) / _BINS)
    rounded = np.unique([float(f"{edge:.{_DIGITS}g}") for edge in tenths])
    return rounded[rounded > present.min()]


def described(
    bins: Reference,
    numbers: npt.NDArray[np.float64],
    codes: Codes,
    answers: Sequence[npt.NDArray[Any]] = (),
) -> Reference:
    """`bins` with the rows of a table that are in each, counted as in serving: see `Tally.add`."""
    tally = Tally(bins)
    tally.add(numbers, codes, answers)
    ends = np.cumsum([len(feature.bins) for feature in bins.features])[:-1]
    counts = np.split(tally.counted(), ends)
    features = [
        replace(feature, counts=each.tolist())
        for feature, each in zip(bins.features, counts, strict=True)
    ]
    return replace(bins, features=features)
