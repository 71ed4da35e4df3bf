"""A table in numbers: rates, outliers and associations. Pure functions."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from trimaran.stats.intervals import wilson
from trimaran.training.tabular.evaluation.separation import Flags, Floats

__all__ = [
    "MISSING",
    "Outliers",
    "Rate",
    "category_rates",
    "cramers_v",
    "number_rates",
    "outliers",
    "pearson",
]

MISSING = "(missing)"
"""The name of missing values where categories are counted."""

_IQR_REACH = 1.5
_Z_REACH = 3.0


@dataclass(frozen=True)
class Rate:
    """How often the outcome is positive in one group of rows."""

    label: str
    centre: float
    """The group's mean, for a group of numbers; NaN for a category."""
    rows: int
    hits: int

    @property
    def rate(self) -> float:
        """The share of positive rows, 0 to 1."""
        return self.hits / self.rows

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the rate, after Wilson."""
        return wilson(self.hits, self.rows)


@dataclass(frozen=True)
class Outliers:
    """The numbers far from the others, by two rules; all bounds are inclusive."""

    rows: int
    """How many numbers are present."""
    iqr_bounds: tuple[float, float]
    """1.5 interquartile ranges beyond the quartiles (Tukey)."""
    iqr_count: int
    z_bounds: tuple[float, float]
    """Three standard deviations from the mean."""
    z_count: int


def number_rates(column: pd.Series, positive: Flags, groups: int = 10) -> list[Rate]:
    """Rates of a number column `[rows]`, ascending, without its missing values.

    One group per distinct value where there are at most `groups`, else quantiles.
    """
    present = column.notna().to_numpy()
    numbers, positive = column.to_numpy(dtype=np.float64)[present], positive[present]
    if not len(numbers):
        return []
    edges = np.unique(numbers)
    exact = len(edges) <= groups
    if not exact:
        edges = np.unique(np.quantile(numbers, np.linspace(0, 1, groups + 1)[:-1]))
    places = np.searchsorted(edges, numbers, side="right") - 1
    rates = []
    for place in np.unique(places):
        inside = places == place
        members = numbers[inside]
        low, high = members.min(), members.max()
        label = f"{low:g}" if low == high else f"{low:g} to {high:g}"
        hits = int(np.count_nonzero(positive[inside]))
        rates.append(Rate(label, float(members.mean()), len(members), hits))
    return rates


def category_rates(column: pd.Series, positive: Flags, most: int = 15) -> list[Rate]:
    """Rates of a category column `[rows]`: the most frequent first, at most `most` groups.

    The other categories are one group, named by their number. Missing values are a category.
    """
    values = column.where(column.notna(), MISSING).to_numpy(dtype=object)
    codes, labels = pd.factorize(values)
    rows = np.bincount(codes, minlength=len(labels))
    hits = np.bincount(codes, weights=positive, minlength=len(labels)).astype(int)
    order = np.argsort(-rows, kind="stable")
    kept = order if len(order) <= most else order[: most - 1]
    rates = [Rate(str(labels[i]), math.nan, int(rows[i]), int(hits[i])) for i in kept]
    rest = order[len(kept) :]
    if len(rest):
        name = f"({len(rest)} others)"
        rates.append(Rate(name, math.nan, int(rows[rest].sum()), int(hits[rest].sum())))
    return rates


def outliers(column: pd.Series) -> Outliers | None:
    """The outliers of a number column `[rows]`; None without a number."""
    numbers = column.dropna().to_numpy(dtype=np.float64)
    if not len(numbers):
        return None
    first, third = np.quantile(numbers, [0.25, 0.75])
    reach = _IQR_REACH * (third - first)
    mean, spread = numbers.mean(), numbers.std()
    tukey = float(first - reach), float(third + reach)
    z = float(mean - _Z_REACH * spread), float(mean + _Z_REACH * spread)
    return Outliers(len(numbers), tukey, _outside(numbers, tukey), z, _outside(numbers, z))


def pearson(columns: pd.DataFrame) -> Floats:
    """Correlations `[columns, columns]` over the rows where both are present; NaN if constant."""
    matrix = columns.corr(method="pearson", min_periods=3).to_numpy(dtype=np.float64, copy=True)
    np.fill_diagonal(matrix, 1.0)
    return matrix


def cramers_v(one: pd.Series, other: pd.Series) -> float:
    """The association of two category columns, 0 to 1, over the rows where both are present.

    With the bias correction of Bergsma (2013). NaN where a column is constant.
    """
    both = (one.notna() & other.notna()).to_numpy()
    first, second = pd.factorize(one[both])[0], pd.factorize(other[both])[0]
    rows = len(first)
    if rows < 2:
        return math.nan
    table = np.zeros((first.max() + 1, second.max() + 1))
    np.add.at(table, (first, second), 1.0)
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0, keepdims=True) / rows
    phi = float((((table - expected) ** 2) / expected).sum()) / rows
    height, width = table.shape
    if min(height, width) < 2:
        return math.nan
    unbiased = max(0.0, phi - (height - 1) * (width - 1) / (rows - 1))
    sides = (side - (side - 1) ** 2 / (rows - 1) for side in (height, width))
    least = min(sides) - 1
    return min(1.0, math.sqrt(unbiased / least)) if least > 0 else math.nan


def _outside(numbers: npt.NDArray[np.float64], bounds: tuple[float, float]) -> int:
    return int(np.count_nonzero((numbers < bounds[0]) | (numbers > bounds[1])))
