"""Drift: how far the served rows of each feature are from the expected ones.

Rows are counted by bin. `monitoring/prometheus/rules/drift.yml` records the same distances.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from monitoring.present import shown
from monitoring.prometheus_api import Prometheus, Sample
from monitoring.queries import query
from trimaran.stats.drift import (
    DRIFT,
    LEAST_ROWS,
    Verdict,
    distance_between,
    jensen_shannon,
    population_stability,
    shares,
    verdict_of,
)
from trimaran.system.durations import seconds_of

__all__ = [
    "COLUMNS",
    "DRIFT_WINDOW",
    "MEANING",
    "Expectation",
    "Finding",
    "cells_of",
    "evaluate_features",
    "features",
    "tables_of",
]

_Key = tuple[str, str, str]

DRIFT_WINDOW = "1h"
"""The window of the recorded series and the alerts, and the default."""
_PAST = "1d"

COLUMNS = (
    *("feature", "verdict", "rows", "PSI", "95 %", "JS distance", "missing", "expected"),
    *("unknown", "expected", "moved most"),
)
MEANING = (
    f"drift: the whole 95 % interval of the population stability index is above {DRIFT:g}; a "
    f"verdict needs at least {LEAST_ROWS} served and {LEAST_ROWS} expected rows"
)


@dataclass(frozen=True)
class Expectation:
    """Expected rows by bin, and their name."""

    name: str
    rows: Sequence[Sample]


@dataclass(frozen=True)
class Finding:
    """The drift of one feature of one version."""

    model: str
    version: str
    feature: str
    rows: float
    """Rows that were served in the window."""
    against: str = ""
    """The name of the expectation that they are compared with; empty if none has rows."""
    index: float | None = None
    """The population stability index less the part that chance explains, and its 95 % interval."""
    interval: tuple[float, float] = (0.0, 0.0)
    distance: float | None = None
    """The Jensen-Shannon distance, from 0 to 1."""
    missing: tuple[float, float] | None = None
    """The share of missing rows, served and expected."""
    unknown: tuple[float, float] | None = None
    """The share of unknown rows, served and expected."""
    verdict: Verdict = "too few"
    moved: str = ""
    """The bin whose share changed most."""


def features(source: Prometheus, window: str, against: str | None = None) -> list[Finding]:
    """The findings of every feature that was counted in the window before now.

    A version's rows are compared with its reference, or without one with the day before the window.
    With `against`, they are compared with a window of the same length that ended that long ago.
    Raises `TrimaranError`.
    """
    at_s = source.now_s()
    rows = source.instant(query("feature_rows", window), at_s)
    if against is None:
        before_s = at_s - seconds_of(window, "--window")
        expected = [
            Expectation("the reference", source.instant(query("feature_reference", window), at_s)),
            Expectation("the day before", source.instant(query("feature_rows", _PAST), before_s)),
        ]
    else:
        ended_s = at_s - seconds_of(against, "--against")
        past = source.instant(query("feature_rows", window), ended_s)
        expected = [Expectation(f"the {window} that ended {against} ago", past)]
    return [found for found in evaluate_features(rows, expected) if found.rows]


def evaluate_features(rows: Sequence[Sample], expected: Sequence[Expectation]) -> list[Finding]:
    """Findings from samples with the labels model, version, feature and bin; largest index first.

    A feature is compared with the first expectation that has rows of it. The size of the effect
    decides: `drift` if the whole interval of its index is above `DRIFT`, `unsure` if a part is.
    """
    known: dict[_Key, tuple[str, Mapping[str, float]]] = {}
    for expectation in expected:
        for key, counts in _by_feature(expectation.rows).items():
            if sum(counts.values()):
                known.setdefault(key, (expectation.name, counts))
    findings = [
        _finding(key, counts, *known.get(key, ("", {})))
        for key, counts in _by_feature(rows).items()
    ]
    return sorted(findings, key=lambda found: (found.model, found.version, -(found.index or 0.0)))


def _finding(
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
    index, interval = distance_between(found, expected, population_stability)
    served_shares, expected_shares = shares(found), shares(expected)
    return Finding(
        *key,
        total,
        against,
        index,
        interval,
        float(jensen_shannon(served_shares, expected_shares)),
        absent.get("missing"),
        absent.get("unknown"),
        verdict_of(interval, absent.values()),
        bins[int(np.argmax(np.abs(served_shares - expected_shares)))],
    )


def _by_feature(samples: Sequence[Sample]) -> dict[_Key, dict[str, float]]:
    found: dict[_Key, dict[str, float]] = {}
    for sample in samples:
        labels = sample.labels
        key = labels.get("model", ""), labels.get("version", ""), labels.get("feature", "")
        found.setdefault(key, {})[labels.get("bin", "")] = sample.value
    return found


def tables_of(findings: Sequence[Finding], window: str) -> list[tuple[str, list[Finding]]]:
    """A title and its findings, for each version and expectation."""
    tables: dict[str, list[Finding]] = {}
    for found in findings:
        tables.setdefault(_title(found, window), []).append(found)
    return list(tables.items())


def cells_of(found: Finding) -> list[str]:
    """A feature's cells under `COLUMNS`; unknown values are empty."""
    low, high = found.interval
    return [
        found.feature,
        found.verdict,
        f"{found.rows:,.0f}",
        "" if found.index is None else f"{found.index:.3f}",
        "" if found.index is None else f"{low:.3f} to {high:.3f}",
        "" if found.distance is None else f"{found.distance:.3f}",
        *_pair(found.missing),
        *_pair(found.unknown),
        found.moved,
    ]


def _title(found: Finding, window: str) -> str:
    served = f"{found.model} version {found.version}, last {window}"
    if not found.against:
        return f"{served}, with nothing to compare with: no reference, and no rows before"
    return f"{served}, against {found.against}"


def _pair(pair: tuple[float, float] | None) -> tuple[str, str]:
    return ("", "") if pair is None else (shown(pair[0], "ratio"), shown(pair[1], "ratio"))
