"""Drift: how far rows that were counted by bin are from the expected ones, and whether that is far.

`monitoring/prometheus/rules/drift.yml` records the same distances.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal

import numpy as np
import numpy.typing as npt

from trimaran.stats.bootstrap import basic_interval, resampled_counts

__all__ = [
    "DRIFT",
    "LEAST_ROWS",
    "MORE_ABSENT",
    "Verdict",
    "distance_between",
    "jensen_shannon",
    "population_stability",
    "shares",
    "verdict_of",
]

DRIFT = 0.2
"""A population stability index above this is drift; above 0.1 is commonly called moderate."""
LEAST_ROWS = 200
"""With fewer rows, served or expected, the verdict is `too few`."""
MORE_ABSENT = 0.05
"""The share of missing or unknown rows may exceed the expected share by this much."""

Verdict = Literal["drift", "absent", "stable", "unsure", "too few", "no reference"]
Counts = npt.NDArray[np.float64]
Shares = npt.NDArray[np.float64]

_SMOOTHING = 0.5
"""Added to each bin (Jeffreys' prior), so that an empty bin makes no infinite index."""
_RESAMPLES = 400


def verdict_of(interval: tuple[float, float], absent: Iterable[tuple[float, float]]) -> Verdict:
    """What an index is by its interval; `absent` has shares of missing or unknown rows, in pairs.

    A pair is the share that was found, and the expected one.
    """
    low, high = interval
    if low > DRIFT:
        return "drift"
    if any(served - expected > MORE_ABSENT for served, expected in absent):
        return "absent"
    return "unsure" if high > DRIFT else "stable"


def shares(counts: Counts) -> Shares:
    """Smoothed shares of `counts` `[..., bins]`, which add up to 1."""
    smoothed = counts + _SMOOTHING
    found: Shares = smoothed / smoothed.sum(axis=-1, keepdims=True)
    return found


def population_stability(found: Shares, expected: Shares) -> npt.NDArray[np.float64]:
    """The population stability index of shares `[..., bins]`: the sum of (p - q) ln(p / q)."""
    index: npt.NDArray[np.float64] = ((found - expected) * np.log(found / expected)).sum(axis=-1)
    return index


def jensen_shannon(found: Shares, expected: Shares) -> npt.NDArray[np.float64]:
    """The Jensen-Shannon distance of shares `[..., bins]`, from 0 to 1: base 2, and its root."""
    middle = (found + expected) / 2
    divergence = (found * np.log2(found / middle) + expected * np.log2(expected / middle)).sum(
        axis=-1
    )
    distance: npt.NDArray[np.float64] = np.sqrt(np.maximum(divergence / 2, 0))
    return distance


def distance_between(
    counts: Counts,
    reference: Counts,
    distance: Callable[[Shares, Shares], npt.NDArray[np.float64]],
    seed: int = 0,
) -> tuple[float, tuple[float, float]]:
    """A distance between counts `[bins]`, and its 95 % interval, by resampling both.

    Chance alone makes the distance of two samples larger. The basic bootstrap takes that off, of
    the distance (with the median of the resamples) as of its bounds, so it lies between them.
    """
    generator = np.random.default_rng(seed)
    value = float(distance(shares(counts), shares(reference)))
    drawn = [
        shares(resampled_counts(each, _RESAMPLES, generator).astype(float))
        for each in (counts, reference)
    ]
    distances = distance(*drawn)
    low, high = basic_interval(value, distances)
    corrected = 2 * value - float(np.median(distances))
    return max(0.0, corrected), (max(0.0, low), max(0.0, high))
