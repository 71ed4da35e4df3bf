"""Compares two answers, output by output.

| values | agree when |
|---|---|
| texts, labels, booleans, whole numbers | they are equal |
| other numbers | they differ by at most `tolerance` + `tolerance` x the absolute value of live's |

NaN agrees with NaN. An output that one answer lacks, or that has another shape, does not agree. An
answer agrees when all its outputs do.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

__all__ = ["Difference", "compared", "severity"]

_NUMBERS = "iuf"


@dataclass(frozen=True)
class Difference:
    """How one output of the candidate differs from live's."""

    agrees: bool
    distance: float | None = None
    """The largest absolute difference; None where there are no two numbers to compare."""
    severity: float = 0.0
    """How many times what the tolerance allows; infinite where nothing allows it."""


def compared(
    live: Mapping[str, np.ndarray],
    candidate: Mapping[str, np.ndarray],
    tolerance: float,
    outputs: Collection[str],
) -> Mapping[str, Difference]:
    """The difference of each of `outputs` that one of the answers has, by name.

    A request may ask for some of the outputs only. Arrays are as `tensors_of` gives them.
    """
    return {
        name: _difference(live.get(name), candidate.get(name), tolerance)
        for name in outputs
        if name in live or name in candidate
    }


def severity(differences: Mapping[str, Difference]) -> tuple[float, float]:
    """By which the worst disagreement is the greatest: the severity, then the distance."""
    distances = [each.distance for each in differences.values() if each.distance is not None]
    return (
        max((each.severity for each in differences.values()), default=0.0),
        max(distances, default=0.0),
    )


def _difference(
    live: np.ndarray | None, candidate: np.ndarray | None, tolerance: float
) -> Difference:
    if live is None or candidate is None or live.shape != candidate.shape:
        return Difference(agrees=False, severity=math.inf)
    kinds = {live.dtype.kind, candidate.dtype.kind}
    if not kinds <= set(_NUMBERS):
        same = np.array_equal(live, candidate)
        return Difference(same, severity=0.0 if same else math.inf)
    if not live.size:
        return Difference(agrees=True, distance=0.0)
    if "f" not in kinds:
        return _of_whole_numbers(live, candidate)
    with np.errstate(invalid="ignore", over="ignore"):
        # A single number has no axis, and NumPy makes of a difference of two no array.
        one, other = (np.atleast_1d(each.astype(np.float64)) for each in (live, candidate))
        away = np.abs(one - other)
        away[(one == other) | (np.isnan(one) & np.isnan(other))] = 0.0
        away[np.isnan(away)] = math.inf
        allowed = tolerance + tolerance * np.where(np.isfinite(one), np.abs(one), 0.0)
        times = np.divide(away, allowed, out=np.where(away > 0, math.inf, 0.0), where=allowed > 0)
    return Difference(bool((away <= allowed).all()), float(away.max()), float(times.max()))


def _of_whole_numbers(live: np.ndarray, candidate: np.ndarray) -> Difference:
    """Of numbers that float64 may not hold."""
    one, other = (np.atleast_1d(each.astype(object)) for each in (live, candidate))
    distance = float(np.abs(one - other).max())
    return Difference(distance == 0, distance, math.inf if distance else 0.0)
