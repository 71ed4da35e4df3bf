"""Findings as text, for a terminal and for a page."""

from __future__ import annotations

from collections.abc import Sequence

from monitoring.drift.judging import DRIFT, LEAST_ROWS, Finding
from monitoring.report.present import shown

__all__ = ["COLUMNS", "MEANING", "cells_of", "tables_of"]

COLUMNS = (
    *("feature", "verdict", "rows", "PSI", "95 %", "JS distance", "missing", "expected"),
    *("unknown", "expected", "moved most"),
)
MEANING = (
    f"drift: the whole 95 % interval of the population stability index is above {DRIFT:g}; at "
    f"least {LEAST_ROWS} rows, and as many expected, are needed to tell"
)


def tables_of(findings: Sequence[Finding], window: str) -> list[tuple[str, list[Finding]]]:
    """A title and its findings, for each version and what it is held against."""
    tables: dict[str, list[Finding]] = {}
    for found in findings:
        tables.setdefault(_title(found, window), []).append(found)
    return list(tables.items())


def cells_of(found: Finding) -> list[str]:
    """A feature's line under `COLUMNS`; what is not known is empty."""
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
