"""How good predicted numbers are, and how wide their intervals must be."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from trimaran.stats.bootstrap import percentile_interval

__all__ = [
    "COVERAGE",
    "METRIC_NAMES",
    "NumberScores",
    "conformal_margin",
    "mae_interval",
    "rank_correlation",
    "score_numbers",
]

COVERAGE = 0.9
"""The share of rows that an interval should hold."""
METRIC_NAMES = {
    "mae": "MAE",
    "rmse": "RMSE",
    "r2": "R²",
    "coverage": "coverage",
}
"""Names for people of the metrics of `NumberScores`."""

_RESAMPLES = 2_000
_AT_ONCE = 4_000_000

Floats = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.float32]


@dataclass(frozen=True)
class NumberScores:
    """Every metric on one part, in the target's own unit where it has one."""

    rows: int
    mae: float
    """The mean absolute error."""
    rmse: float
    """The root of the mean squared error."""
    r2: float
    """The share of the variance that is explained: 0 for predicting the mean."""
    margin: float
    """Half of an interval."""
    coverage: float
    """The share of rows within their interval."""

    def as_dict(self) -> dict[str, Any]:
        """As JSON."""
        return dataclasses.asdict(self)


def score_numbers(target: Floats, predicted: Numbers, margin: float) -> NumberScores:
    """Score the numbers `[rows]` that were predicted, each with an interval of twice `margin`."""
    errors = predicted.astype(np.float64) - target
    squared = float(np.mean(errors**2))
    variance = float(np.var(target))
    return NumberScores(
        rows=len(target),
        mae=float(np.mean(np.abs(errors))),
        rmse=math.sqrt(squared),
        r2=1 - squared / variance if variance else 0.0,
        margin=margin,
        coverage=float(np.mean(np.abs(errors) <= margin)),
    )


def conformal_margin(target: Floats, predicted: Numbers, coverage: float = COVERAGE) -> float:
    """The half-width of intervals that hold new rows as often as `coverage` says.

    Split conformal prediction: the ceil((n + 1) * coverage)-th smallest absolute error of n rows
    that the weights were not fitted to, or the largest where there are too few. J. Lei et al.,
    "Distribution-Free Predictive Inference for Regression" (2018), algorithm 2.
    """
    errors = np.sort(np.abs(predicted.astype(np.float64) - target))
    place = min(math.ceil((len(errors) + 1) * coverage), len(errors))
    return float(errors[place - 1])


def mae_interval(target: Floats, predicted: Numbers, seed: int) -> tuple[float, float]:
    """The 95 % percentile bootstrap interval of the MAE, from 2 000 resamples of the rows."""
    errors = np.abs(predicted.astype(np.float64) - target)
    generator = np.random.default_rng(seed)
    rows = max(1, _AT_ONCE // len(errors))
    sizes = [rows] * (_RESAMPLES // rows) + [_RESAMPLES % rows]
    means = [
        errors[generator.integers(len(errors), size=(size, len(errors)))].mean(axis=1)
        for size in sizes
    ]
    return percentile_interval(np.concatenate(means))


def rank_correlation(one: Floats, other: Floats) -> float:
    """Spearman's correlation of two `[rows]`; 0 where one is constant."""
    first, second = _ranks(one), _ranks(other)
    if not np.ptp(first) or not np.ptp(second):
        return 0.0
    return float(np.corrcoef(first, second)[0, 1])


def _ranks(values: Floats) -> Floats:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    found: Floats = (ends - (counts - 1) / 2)[inverse]
    return found
