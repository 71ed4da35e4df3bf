"""Intervals of shares, and of how far one share is below another.

The same formulas stand as recording rules in `prometheus/rules/accuracy.yml`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["Estimate", "f1_score", "fall", "share"]

_Z = 1.96
"""Of 95 %."""


@dataclass(frozen=True)
class Estimate:
    """A figure from a sample, with its 95 % interval."""

    value: float
    low: float
    high: float


def share(part: float, whole: float) -> Estimate | None:
    """`part` of `whole`, with Wilson's score interval; None where `whole` is 0.

    E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference" (1927).
    """
    if not whole:
        return None
    value = part / whole
    middle = value + _Z**2 / (2 * whole)
    half = _Z * math.sqrt(value * (1 - value) / whole + _Z**2 / (4 * whole**2))
    scale = 1 + _Z**2 / whole
    return Estimate(value, max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale))


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
