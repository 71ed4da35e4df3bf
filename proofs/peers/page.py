"""Ours compared with every peer, as a Markdown page with a plot."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from loadtests.reports.tables import number
from proofs.jobs.job import PHOTOGRAPH, RECORD
from proofs.peers.measure import LIMIT, Comparison
from trimaran.pages.figures import INK, NEGATIVE, plain_axes
from trimaran.system.files import write_text

__all__ = ["write_peers_page"]

_TITLES = {
    PHOTOGRAPH: "A photograph to labels",
    RECORD: "A flat record to the probability of churn",
}
_UNITS = {PHOTOGRAPH: "photographs/s", RECORD: "records/s"}
_HEADINGS = (
    "| ours | compared with | its setting | ours {unit} | theirs | ours p99 ms | theirs "
    "| ours CPU ms | theirs | rate, ours / theirs | p99 | CPU |"
)


def write_peers_page(path: Path, found: Sequence[Comparison], command: str, method: str) -> None:
    """Write the page, and its plot next to it as `.svg`."""
    plot = path.with_suffix(".svg")
    lines = ["# Other servers", "", f"```\n{command}\n```", "", method, ""]
    lines += [f"![Rates, ours over theirs]({plot.name})", ""]
    for job, title in _TITLES.items():
        mine = [one for one in found if one.job == job]
        if mine:
            lines += [f"## {title}", "", *_table(mine, _UNITS[job]), ""]
    lines += [_machine(), ""]
    _draw(found, plot)
    write_text(path, "\n".join(lines))


def _table(found: Sequence[Comparison], unit: str) -> list[str]:
    heading = _HEADINGS.format(unit=unit)
    lines = [heading, "|" + "---|" * (heading.count("|") - 1)]
    for one in found:
        cells = [one.ours, one.theirs, one.setting]
        for figure in ("rate", "p99", "CPU"):
            cells += [number(value) for value in one.medians.get(figure, (None, None))]
        ratios = (one.ratios.get(figure) for figure in ("rate", "p99", "CPU"))
        cells += [str(ratio) if ratio else "" for ratio in ratios]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _draw(found: Sequence[Comparison], path: Path) -> None:
    """Rates of ours over theirs, with intervals, on a logarithmic axis."""
    shown = [one for one in found if "rate" in one.ratios][::-1]
    drawn = Figure(figsize=(8, 0.34 * len(shown) + 0.9))
    axes = drawn.subplots()
    for place, one in enumerate(shown):
        ratio = one.ratios["rate"]
        colour = INK if one.theirs == LIMIT else NEGATIVE
        axes.plot([ratio.low, ratio.high], [place, place], color=colour, linewidth=1.4)
        axes.plot([ratio.value], [place], "o", color=colour, markersize=4.5)
    axes.axvline(1.0, color=INK, linewidth=0.8, linestyle="--")
    axes.set_xscale("log")
    labels = [f"{one.ours} / {one.theirs}" for one in shown]
    axes.set_yticks(range(len(shown)), labels)
    axes.set_xlabel("rate, ours / theirs; right of the line ours is faster")
    plain_axes(axes, grid="x")
    settings: Mapping[str, object] = {"svg.hashsalt": "trimaran"}
    with mpl.rc_context(settings):  # type: ignore[arg-type]
        drawn.savefig(path, format="svg", bbox_inches="tight", metadata={"Date": None})


def _machine() -> str:
    return (
        f"{os.cpu_count()} cores, which the servers and the generator share; "
        f"Python {platform.python_version()}, onnxruntime {version('onnxruntime')}, "
        f"{time.strftime('%Y-%m-%d')}."
    )
