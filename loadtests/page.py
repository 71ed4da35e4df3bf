"""Figures of alternating rounds as a Markdown page: medians, and ratios with intervals."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np

from loadtests.judging.ratio import paired_ratio

__all__ = ["Figure", "page"]

_PACKAGES = ("fastapi", "uvicorn", "onnxruntime", "numpy", "pydantic")


@dataclass(frozen=True)
class Figure:
    """One target in one round."""

    rate: float
    """Records per second."""
    p99_s: float
    cpu_s: float
    """CPU seconds of the server and its children for each record."""


def page(
    figures: Mapping[str, Sequence[Figure]], base: str, limit: Mapping[str, float], method: str
) -> str:
    """Figures by target, a list over rounds, as Markdown, with ratios to those of `base`.

    `limit` is seconds per record of each part of the work without a server; `method` says how
    the figures were made.
    """
    short = base.partition(",")[0]
    lines = [
        f"| target | records/s | p99 ms | CPU µs per record | rate / {short} | p99 / {short} | "
        f"CPU / {short} |",
        "|---|---|---|---|---|---|---|",
        *(_row(name, mine, figures[base]) for name, mine in figures.items()),
        "",
        "| in one process, without a server | µs per record |",
        "|---|---|",
        *(f"| {name} | {seconds * 1e6:.1f} |" for name, seconds in limit.items()),
        "",
        f"{method}; medians, and ratios with 95 % intervals over rounds. {_machine()}",
    ]
    return "\n".join(lines) + "\n"


def _row(name: str, mine: Sequence[Figure], base: Sequence[Figure]) -> str:
    medians, ratios = {}, []
    for field in ("rate", "p99_s", "cpu_s"):
        values = [getattr(figure, field) for figure in mine]
        medians[field] = float(np.median(values))
        ratios.append(str(paired_ratio(values, [getattr(figure, field) for figure in base])))
    return (
        f"| {name} | {medians['rate']:,.0f} | {medians['p99_s'] * 1e3:.1f} | "
        f"{medians['cpu_s'] * 1e6:.0f} | {' | '.join(ratios)} |"
    )


def _machine() -> str:
    versions = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    return (
        f"{os.cpu_count()} cores, {versions}, Python {platform.python_version()}, "
        f"{time.strftime('%Y-%m-%d')}."
    )
