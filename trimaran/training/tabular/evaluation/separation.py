"""How well one field alone separates the two outcomes, as a ROC AUC."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

__all__ = [
    "LEAK_AUC",
    "LEAST_OF_EACH",
    "Flags",
    "Floats",
    "encoded_auc",
    "missingness_auc",
    "rank_auc",
    "value_auc",
]

LEAK_AUC = 0.995
"""A field that alone separates the outcomes this well counts as a leak."""
LEAST_OF_EACH = 10
"""With fewer rows of an outcome a separation may be chance, and is None."""

_FOLDS = 5
_BINS = 20
_PRIOR_ROWS = 1.0

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


def rank_auc(scores: Floats, positive: Flags) -> float | None:
    """The chance that a positive row has a higher score than a negative one; a tie counts half.

    Both `[rows]`. Mann and Whitney's U over the number of pairs, from ranks. None with fewer than
    `LEAST_OF_EACH` rows of an outcome.
    """
    positives = int(np.count_nonzero(positive))
    negatives = len(positive) - positives
    if min(positives, negatives) < LEAST_OF_EACH:
        return None
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks = (ends - (counts - 1) / 2)[inverse]
    wins = ranks[positive].sum() - positives * (positives + 1) / 2
    return float(wins / (positives * negatives))


def encoded_auc(codes: npt.NDArray[np.int64], positive: Flags) -> float | None:
    """`rank_auc` of the share of positives in a row's group, counted without the row's own fold.

    Both `[rows]`; codes name the groups. Because the share comes from other rows, a group of one
    row has no effect, and a column of names does not separate. None as in `rank_auc`.
    """
    if not len(codes):
        return None
    _, groups = np.unique(codes, return_inverse=True)
    folds = np.empty(len(codes), dtype=np.int64)
    for outcome in (positive, ~positive):
        folds[outcome] = np.arange(np.count_nonzero(outcome)) % _FOLDS
    shape = (int(groups.max()) + 1, _FOLDS)
    rows, hits = np.zeros(shape), np.zeros(shape)
    np.add.at(rows, (groups, folds), 1.0)
    np.add.at(hits, (groups, folds), positive.astype(np.float64))
    other_rows = rows.sum(axis=1, keepdims=True) - rows
    other_hits = hits.sum(axis=1, keepdims=True) - hits
    shares = (other_hits + _PRIOR_ROWS * positive.mean()) / (other_rows + _PRIOR_ROWS)
    return rank_auc(shares[groups, folds], positive)


def value_auc(column: pd.Series, positive: Flags) -> float | None:
    """How well the present values separate, 0.5 to 1: the best of the ways that apply.

    Numbers `[rows]` by their order, either way, and by groups: up to 20 distinct values, or else 20
    groups of equal size. Text by its values. None as in `rank_auc`.
    """
    present = column.notna().to_numpy()
    values, positive = column[present], positive[present]
    if not pd.api.types.is_numeric_dtype(column.dtype):
        auc = encoded_auc(pd.factorize(values)[0], positive)
        return None if auc is None else max(auc, 0.5)
    numbers = values.to_numpy(dtype=np.float64)
    ordered, grouped = rank_auc(numbers, positive), encoded_auc(_bins(numbers), positive)
    if ordered is None or grouped is None:
        return None
    return max(ordered, 1 - ordered, grouped)


def missingness_auc(column: pd.Series, positive: Flags) -> float | None:
    """How well the absence of a value separates, 0.5 to 1. None as in `rank_auc`."""
    auc = rank_auc(column.isna().to_numpy(dtype=np.float64), positive)
    return None if auc is None else max(auc, 1 - auc)


def _bins(numbers: Floats) -> npt.NDArray[np.int64]:
    distinct = np.unique(numbers)
    if len(distinct) <= _BINS:
        return np.searchsorted(distinct, numbers)
    edges = np.unique(np.quantile(numbers, np.linspace(0, 1, _BINS + 1)[1:-1]))
    return np.searchsorted(edges, numbers, side="right")
