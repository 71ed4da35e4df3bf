"""Drift: how far the served rows of each feature are from the expected ones.

Rows are counted by bin. `monitoring/prometheus/rules/drift.yml` records the same distances.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from monitoring.present import shown
from monitoring.prometheus_api import Prometheus, Sample
from monitoring.queries import query
from trimaran.stats.bootstrap import basic_interval, resampled_counts
from trimaran.system.durations import seconds_of

__all__ = [
    "COLUMNS",
    "DRIFT",
    "DRIFT_WINDOW",
    "LEAST_ROWS",
    "MEANING",
    "MORE_ABSENT",
    "Expectation",
    "Finding",
    "bootstrap",
    "cells_of",
    "evaluate_features",
    "features",
    "jensen_shannon",
    "population_stability",
    "shares",
    "tables_of",
]

DRIFT = 0.2
"""A population stability index above this is drift; above 0.1 is commonly called moderate."""
LEAST_ROWS = 200
"""With fewer rows, served or expected, the verdict is `too few`."""
MORE_ABSENT = 0.05
"""The share of missing or unknown rows may exceed the expected share by this much."""

_Key = tuple[str, str, str]
Verdict = Literal["drift", "absent", "stable", "unsure", "too few", "no reference"]

Counts = npt.NDArray[np.float64]
Shares = npt.NDArray[np.float64]
_SMOOTHING = 0.5
"""Added to each bin (Jeffreys' prior), so that an empty bin makes no infinite index."""
_RESAMPLES = 400

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
    index, interval = bootstrap(found, expected, population_stability)
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
        key = labels.get("model", ""), labels.get("version", ""), labels.get("feature", "")
        found.setdefault(key, {})[labels.get("bin", "")] = sample.value
    return found


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


def bootstrap(
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
