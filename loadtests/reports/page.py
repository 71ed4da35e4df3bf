"""A report as one page of HTML: verdicts, tables, and plots of latencies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from loadtests.reports.run import Report, Run
from trimaran.pages.figures import PANEL, SERIES, Look, plain_axes
from trimaran.pages.page import Cell, Page, badge, beside, facts, figure, legend, table, text

__all__ = ["report_page"]

_WINDOWS = 60
_NUMBER = FuncFormatter(lambda value, _: f"{value:,.6g}")
_RATIO = {"value", "low", "high"}
_HEADLINE = ("p50", "p90", "p99", "max")

Latencies = Mapping[str, tuple[np.ndarray, np.ndarray]]
"""By the name of a run, the scheduled times in seconds and the latencies in milliseconds of its
requests, `[requests]` each."""


def report_page(report: Report, latencies: Latencies | None = None) -> str:
    """The document, with plots of the `latencies` of its last runs."""
    page = Page(report.title, report.command)
    page.section("Verdict", *_verdict(report))
    page.section("Runs", *_runs(report.runs))
    if latencies:
        page.section("Latency", *_plots(latencies))
    stepped = [run for run in report.runs if run.steps]
    if stepped:
        page.section("Steps", *(_steps(run) for run in stepped))
    if report.figures and report.headline:
        page.section("Figures", table(("figure", "value"), [*_flat(report.figures)]))
    page.section("Circumstances", table(("", ""), list(report.about.items())))
    return page.html()


def _verdict(report: Report) -> list[Markup]:
    blocks = [text(f"Invalid: {report.invalid}", "error")] if report.invalid else []
    for gate in report.gates:
        words = f"{gate.name} {'holds' if gate.holds else 'FAILS'}: {gate.words}"
        blocks.append(text(words, "good" if gate.holds else "error"))
    for run in report.runs:
        if run.invalid:
            blocks.append(text(f"Invalid: {run.target}, {run.load}: {run.invalid}", "error"))
        blocks += [
            text(
                f"{gate.name} {'holds' if gate.holds else 'FAILS'} ({run.target}, {run.load}): "
                f"{gate.words}",
                "good" if gate.holds else "error",
            )
            for gate in run.gates
        ]
    if not blocks:
        blocks.append(text("No SLO was given, and every run is valid."))
    for run in report.headline:
        blocks += _headline(run)
    if not report.headline and report.figures:
        blocks.append(table(("figure", "value"), [*_flat(report.figures)]))
    return blocks


def _headline(run: Run) -> list[Markup]:
    """A run by its name and load, and its figures."""
    load = f"{run.load} in {'an open' if run.loop == 'open' else 'a closed'} loop"
    words = f"{run.shows[:1].upper()}{run.shows[1:]}: {load}" if run.shows else f"Load: {load}"
    pairs: list[tuple[str, Cell]] = [("answers/s", run.rate)]
    pairs += [(f"{name} ms", run.latency_ms[name]) for name in _HEADLINE if name in run.latency_ms]
    if run.invalid:
        return [text(f"{words} (invalid, so these figures do not count)", "error"), facts(pairs)]
    return [text(words), facts(pairs)]


def _runs(runs: Sequence[Run]) -> list[Markup]:
    """A table, and before it what is the same in every run."""
    names = list(dict.fromkeys(name for run in runs for name in run.latency_ms))
    columns: dict[str, list[Cell]] = {
        name: [str(getattr(run, name)) for run in runs] for name in ("target", "protocol", "loop")
    }
    same = {name: cells[0] for name, cells in columns.items() if len(set(cells)) == 1}
    columns = {name: cells for name, cells in columns.items() if name not in same}
    columns |= {
        "load": [run.load for run in runs],
        "": [badge("invalid", "error") if run.invalid else badge("valid", "good") for run in runs],
        "seconds": [run.seconds for run in runs],
        "requests": [run.requests for run in runs],
        "failed": [run.requests - run.answered for run in runs],
        "answers/s": [run.rate for run in runs],
        **{f"{name} ms": [run.latency_ms.get(name) for run in runs] for name in names},
        "CPU ms": [run.server_cpu_ms for run in runs],
        "late sends": [run.late_sends for run in runs],
    }
    columns = {name: cells for name, cells in columns.items() if any(c is not None for c in cells)}
    said = [text(", ".join(f"{name}: {value}" for name, value in same.items()))] if same else []
    return [*said, table([*columns], zip(*columns.values(), strict=True))]


def _plots(latencies: Latencies) -> list[Markup]:
    """As many of the last runs as can be told apart."""
    shown = list(latencies.items())[-len(SERIES) :]
    left_out = len(latencies) - len(shown)
    runs = [(look, *found) for look, (_, found) in zip(SERIES, shown, strict=False)]
    said = [text(f"The last {len(shown)} of {len(latencies)} runs.")] if left_out else []
    return [
        *said,
        legend([(name, look) for look, (name, _) in zip(SERIES, shown, strict=False)]),
        beside(
            figure(
                _distribution(runs),
                "The latency that a share of the requests stayed below; the axis is widest at the "
                "slowest requests.",
                "latency by percentile",
            ),
            figure(
                _over_time(runs),
                "By the time at which requests were due: their median, and thin the slowest.",
                "latency over time",
            ),
        ),
    ]


def _steps(run: Run) -> Markup:
    headers = ["model", "version", "requests", "batch", "queue ms", "input ms", "infer ms"]
    rows: list[Sequence[Cell]] = [
        [
            step.model,
            step.version,
            step.requests,
            step.batch,
            step.queue_ms,
            step.compute_input_ms,
            step.compute_infer_ms,
            step.compute_output_ms,
        ]
        for step in run.steps
    ]
    return Markup("{}{}").format(
        text(f"{run.target}, {run.load}"), table([*headers, "output ms"], rows)
    )


_Drawn = Sequence[tuple[Look, np.ndarray, np.ndarray]]
"""Each run's look, scheduled times and latencies."""


def _distribution(runs: _Drawn) -> Figure:
    drawn, axes = _panel()
    for look, _, values in runs:
        finite = np.sort(values[np.isfinite(values)])
        if not len(finite):
            continue
        beyond = 1 - (np.arange(len(finite)) + 0.5) / len(values)
        axes.plot(1 / beyond, finite, color=look.colour, linestyle=look.style, linewidth=1.6)
    axes.set_xscale("log")
    ticks = (2, 10, 100, 1000, 10_000)
    axes.set_xticks(ticks, [f"{100 * (1 - 1 / tick):g} %" for tick in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
    return drawn


def _over_time(runs: _Drawn) -> Figure:
    drawn, axes = _panel()
    for look, times, values in runs:
        kept = np.isfinite(values)
        if not kept.any():
            continue
        edges = np.linspace(0, times[kept].max() + 1e-9, _WINDOWS + 1)
        windows = np.digitize(times[kept], edges) - 1
        centres, medians, slowest = [], [], []
        for window in np.unique(windows):
            inside = values[kept][windows == window]
            centres.append(edges[window])
            medians.append(float(np.median(inside)))
            slowest.append(float(inside.max()))
        axes.plot(centres, medians, color=look.colour, linestyle=look.style, linewidth=1.6)
        axes.plot(centres, slowest, color=look.colour, linestyle=look.style, linewidth=0.6)
    axes.set_xlabel("seconds from the start")
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5))
    return drawn


def _panel() -> tuple[Figure, Axes]:
    drawn = Figure(figsize=(PANEL, 3.2), layout="constrained")
    axes = drawn.subplots()
    plain_axes(axes)
    axes.set_yscale("log")
    axes.set_ylabel("latency, ms")
    axes.yaxis.set_major_formatter(_NUMBER)
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 3)))
    axes.yaxis.set_minor_locator(NullLocator())
    return drawn, axes


def _flat(figures: Mapping[str, object], prefix: str = "") -> list[tuple[str, str]]:
    found = []
    for name, value in figures.items():
        if isinstance(value, Mapping) and value.keys() == _RATIO:
            low, middle, high = (float(value[part]) for part in ("low", "value", "high"))
            found.append((f"{prefix}{name}", f"{middle:.3g} (95 %: {low:.3g} to {high:.3g})"))
        elif isinstance(value, Mapping):
            found += _flat(value, f"{prefix}{name}, ")
        else:
            shown = f"{value:.4g}" if isinstance(value, float) else str(value)
            found.append((f"{prefix}{name}", shown))
    return found
