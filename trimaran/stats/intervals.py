"""Intervals of shares, and of how far one share is below another.

`monitoring/prometheus/rules/accuracy.yml` records the same intervals.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

__all__ = ["Estimate", "f1_score", "fall", "mean", "share", "wilson"]

_Z = 1.96
"""Of 95 %."""


@dataclass(frozen=True)
class Estimate:
    """A figure from a sample, with its 95 % interval."""

    value: float
    low: float
    high: float


def wilson(part: float, whole: float) -> tuple[float, float]:
    """The 95 % score interval of the share `part / whole`; (0, 1) where `whole` is 0.

    E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference" (1927).
    """
    if not whole:
        return 0.0, 1.0
    value = part / whole
    middle = value + _Z**2 / (2 * whole)
    half = _Z * math.sqrt(value * (1 - value) / whole + _Z**2 / (4 * whole**2))
    scale = 1 + _Z**2 / whole
    low, high = (middle - half) / scale, (middle + half) / scale
    return max(0.0, min(low, value)), min(1.0, max(high, value))


def share(part: float, whole: float) -> Estimate | None:
    """`part / whole` with its interval (see `wilson`); None where `whole` is 0."""
    return Estimate(part / whole, *wilson(part, whole)) if whole else None


def mean(values: Sequence[float]) -> Estimate:
    """The mean of two or more values, with the 95 % interval of Student's t."""
    from scipy.stats import t  # takes a while to import

    count, middle = len(values), fmean(values)
    reach = float(t.ppf(0.975, count - 1)) * stdev(values) / math.sqrt(count)
    return Estimate(middle, middle - reach, middle + reach)


def f1_score(true_positive: float, false_positive: float, false_negative: float) -> Estimate | None:
    """F1 = 2 tp / (2 tp + fp + fn); None where nothing is positive.

    It grows with the share j = tp / (tp + fp + fn), as 2 j / (1 + j), and so does its interval.
    """
    found = share(true_positive, true_positive + false_positive + false_negative)
    if found is None:
        return None
    return Estimate(*(2 * each / (1 + each) for each in (found.value, found.low, found.high)))


def fall(live: Estimate | None, reference: Estimate | None) -> Estimate | None:
    """How far `live` is below `reference`, both of them samples; None without one of them.

    R. G. Newcombe, "Interval estimation for the difference between independent proportions" (1998),
    method 10: the distances of the two values from their own bounds, as two sides of a triangle.
    """
    if live is None or reference is None:
        return None
    value = reference.value - live.value
    return Estimate(
        value,
        value - math.hypot(reference.value - reference.low, live.high - live.value),
        value + math.hypot(reference.high - reference.value, live.value - live.low),
    )
