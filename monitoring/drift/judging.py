"""Counts by bin become a finding for each feature: how far it moved, and whether that is drift."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from monitoring.asking import Sample
from monitoring.drift.distances import (
    bootstrap,
    jensen_shannon,
    population_stability,
    shares,
)

__all__ = ["DRIFT", "LEAST_ROWS", "MORE_ABSENT", "Expectation", "Finding", "judge_features"]

DRIFT = 0.2
"""A population stability index above this is drift; above a tenth is commonly called moderate."""
LEAST_ROWS = 200
"""With fewer rows served, or expected, nothing is said."""
MORE_ABSENT = 0.05
"""So much more of the rows may be missing or unknown than is expected."""

_Key = tuple[str, str, str]
Verdict = Literal["drift", "absent", "stable", "unsure", "too few", "no reference"]


@dataclass(frozen=True)
class Expectation:
    """What rows are held against: its name, and its rows by bin."""

    name: str
    rows: Sequence[Sample]


@dataclass(frozen=True)
class Finding:
    """One feature of one version."""

    model: str
    version: str
    feature: str
    rows: float
    """That were served in the window."""
    against: str = ""
    """The name of the expectation that they were held against; empty where none has rows."""
    index: float | None = None
    """The population stability index, and its 95 % interval."""
    interval: tuple[float, float] = (0.0, 0.0)
    distance: float | None = None
    """Jensen and Shannon's, from 0 to 1."""
    missing: tuple[float, float] | None = None
    """Shares of the rows served, and of those expected."""
    unknown: tuple[float, float] | None = None
    verdict: Verdict = "too few"
    moved: str = ""
    """The bin whose share changed most."""


def judge_features(rows: Sequence[Sample], expected: Sequence[Expectation]) -> list[Finding]:
    """Samples with the labels model, version, feature and bin; the farthest feature comes first.

    A feature is held against the first expectation that has rows of it, and judged by the size of
    the effect: `drift` where the whole interval of its index is above `DRIFT`, `unsure` where a
    part of it is.
    """
    known: dict[_Key, tuple[str, Mapping[str, float]]] = {}
    for expectation in expected:
        for key, counts in _by_feature(expectation.rows).items():
            if sum(counts.values()):
                known.setdefault(key, (expectation.name, counts))
    findings = [
        _judge(key, counts, *known.get(key, ("", {}))) for key, counts in _by_feature(rows).items()
    ]
    return sorted(findings, key=lambda found: (found.model, found.version, -(found.index or 0.0)))


def _judge(
    key: _Key, counts: Mapping[str, float], against: str, reference: Mapping[str, float]
) -> Finding:
    total = sum(counts.values())
    if not against:
        return Finding(*key, total, verdict="no reference")
    bins = sorted({*counts, *reference})
    found = np.array([counts.get(name, 0.0) for name in bins])
    expected = np.array([reference.get(name, 0.0) for name in bins])
    absent: dict[str, tuple[float, float]] = {
        name: (counts.get(name, 0.0) / total, reference[name] / expected.sum())
        for name in ("missing", "unknown")
        if name in reference and total
    }
    if min(total, expected.sum()) < LEAST_ROWS:
        missing, unknown = absent.get("missing"), absent.get("unknown")
        return Finding(*key, total, against, missing=missing, unknown=unknown)
    interval = bootstrap(found, expected, population_stability)
    served_shares, expected_shares = shares(found), shares(expected)
    return Finding(
        *key,
        total,
        against,
        float(population_stability(served_shares, expected_shares)),
        interval,
        float(jensen_shannon(served_shares, expected_shares)),
        absent.get("missing"),
        absent.get("unknown"),
        _verdict(interval, absent.values()),
        bins[int(np.argmax(np.abs(served_shares - expected_shares)))],
    )


def _verdict(interval: tuple[float, float], absent: Iterable[tuple[float, float]]) -> Verdict:
    low, high = interval
    if low > DRIFT:
        return "drift"
    if any(served - expected > MORE_ABSENT for served, expected in absent):
        return "absent"
    return "unsure" if high > DRIFT else "stable"


def _by_feature(samples: Sequence[Sample]) -> dict[_Key, dict[str, float]]:
    found: dict[_Key, dict[str, float]] = {}
    for sample in samples:
        labels = sample.labels
        key = labels["model"], labels["version"], labels["feature"]
        found.setdefault(key, {})[labels["bin"]] = sample.value
    return found
