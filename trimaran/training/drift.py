"""How far new rows are from those that a run was trained on or judged by, feature by feature."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trimaran.served.distribution import Feature, Reference
from trimaran.stats.drift import (
    LEAST_ROWS,
    Verdict,
    distance_between,
    population_stability,
    verdict_of,
)

__all__ = ["Moved", "drift_between"]

_ABSENT = ("missing", "unknown")


@dataclass(frozen=True)
class Moved:
    """How far the new rows of one feature are from the expected ones."""

    feature: str
    verdict: Verdict
    index: float | None
    """The population stability index, less the part that chance explains; None of few rows."""
    interval: tuple[float, float]
    bin: str
    """The bin whose share changed most."""


def drift_between(expected: Reference, found: Reference) -> list[Moved]:
    """Of two references with the same bins, how far each feature moved, in their order."""
    pairs = zip(expected.features, found.features, strict=True)
    return [_moved(before, now.counts) for before, now in pairs]


def _moved(before: Feature, now: Sequence[int]) -> Moved:
    expected, found = np.array(before.counts, float), np.array(now, float)
    if min(expected.sum(), found.sum()) < LEAST_ROWS:
        return Moved(before.name, "too few", None, (0.0, 0.0), "")
    index, interval = distance_between(found, expected, population_stability)
    shares = found / found.sum(), expected / expected.sum()
    absent = [
        (float(shares[0][place]), float(shares[1][place]))
        for place, each in enumerate(before.bins)
        if each in _ABSENT
    ]
    most = before.bins[int(np.argmax(np.abs(shares[0] - shares[1])))]
    return Moved(before.name, verdict_of(interval, absent), index, interval, most)
