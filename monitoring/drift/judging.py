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

__all__ = ["DRIFT", "LEAST_ROWS", "MORE_ABSENT", "Finding", "judge_features"]

DRIFT = 0.2
"""A population stability index above this is drift; above a tenth is commonly called moderate."""
LEAST_ROWS = 200
"""With fewer rows served, nothing is said."""
MORE_ABSENT = 0.05
"""So much more of the rows may be missing or unknown than in training."""

Verdict = Literal["drift", "absent", "stable", "unsure", "too few", "no reference"]


@dataclass(frozen=True)
class Finding:
    """One feature of one version."""

    model: str
    version: str
    feature: str
    rows: float
    """That were served in the window."""
    index: float | None = None
    """The population stability index, and its 95 % interval."""
    interval: tuple[float, float] = (0.0, 0.0)
    distance: float | None = None
    """Jensen and Shannon's, from 0 to 1."""
    missing: tuple[float, float] | None = None
    """Shares of the rows served, and of those of training."""
    unknown: tuple[float, float] | None = None
    verdict: Verdict = "too few"
    moved: str = ""
    """The bin whose share changed most."""


def judge_features(rows: Sequence[Sample], reference: Sequence[Sample]) -> list[Finding]:
    """Samples with the labels model, version, feature and bin; the farthest feature comes first.

    A feature is judged by the size of the effect: `drift` where the whole interval of its index is
    above `DRIFT`, `unsure` where a part of it is.
    """
    expected = _by_feature(reference)
    findings = [
        _judge(key, counts, expected.get(key, {})) for key, counts in _by_feature(rows).items()
    ]
    return sorted(findings, key=lambda found: (found.model, found.version, -(found.index or 0.0)))


def _judge(
    key: tuple[str, str, str], counts: Mapping[str, float], reference: Mapping[str, float]
) -> Finding:
    total = sum(counts.values())
    if not sum(reference.values()):
        return Finding(*key, total, verdict="no reference")
    bins = sorted({*counts, *reference})
    found = np.array([counts.get(name, 0.0) for name in bins])
    trained = np.array([reference.get(name, 0.0) for name in bins])
    absent: dict[str, tuple[float, float]] = {
        name: (counts.get(name, 0.0) / total, reference[name] / trained.sum())
        for name in ("missing", "unknown")
        if name in reference and total
    }
    if total < LEAST_ROWS:
        missing, unknown = absent.get("missing"), absent.get("unknown")
        return Finding(*key, total, missing=missing, unknown=unknown)
    interval = bootstrap(found, trained, population_stability)
    served_shares, trained_shares = shares(found), shares(trained)
    return Finding(
        *key,
        total,
        float(population_stability(served_shares, trained_shares)),
        interval,
        float(jensen_shannon(served_shares, trained_shares)),
        absent.get("missing"),
        absent.get("unknown"),
        _verdict(interval, absent.values()),
        bins[int(np.argmax(np.abs(served_shares - trained_shares)))],
    )


def _verdict(interval: tuple[float, float], absent: Iterable[tuple[float, float]]) -> Verdict:
    low, high = interval
    if low > DRIFT:
        return "drift"
    if any(served - trained > MORE_ABSENT for served, trained in absent):
        return "absent"
    return "unsure" if high > DRIFT else "stable"


def _by_feature(samples: Sequence[Sample]) -> dict[tuple[str, str, str], dict[str, float]]:
    found: dict[tuple[str, str, str], dict[str, float]] = {}
    for sample in samples:
        labels = sample.labels
        key = labels["model"], labels["version"], labels["feature"]
        found.setdefault(key, {})[labels["bin"]] = sample.value
    return found
