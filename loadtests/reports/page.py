"""A report as one page of HTML: verdicts, tables, and plots of latencies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure

from loadtests.reports.run import Report, Run
from trimaran.pages.figures import ACCENT, INK, LINE, NEGATIVE, POSITIVE, plain_axes
from trimaran.pages.page import Cell, Page, badge, facts, figure, table, text

__all__ = ["report_page"]

_COLOURS = (NEGATIVE, POSITIVE, ACCENT, INK)
_SHOWN_RUNS = 8
_WINDOWS = 60


def report_page(
    report: Report, latencies: Mapping[str, tuple[np.ndarray, np.ndarray]] | None = None
) -> str:
    """The document.

    `latencies` has, by the name of a run, the scheduled times in seconds and the latencies in
    milliseconds of its requests, `[requests]` each.
    """
    page = Page(report.title, report.command)
    page.section("Verdict", *_verdict(report))
    page.section("Runs", _runs(report.runs))
    drawn = dict(list((latencies or {}).items())[-_SHOWN_RUNS:])
    if drawn:
        page.section(
            "Latency",
            figure(
                _distribution(drawn),
                "The latency that a share of the requests stayed below; the axis is widest at the "
                "slowest requests.",
                "latency by percentile",
            ),
            figure(
                _over_time(drawn),
                "Median and slowest request by the time at which it was due.",
                "latency over time",
            ),
        )
    stepped = [run for run in report.runs if run.steps]
    if stepped:
        page.section("Steps", *(_steps(run) for run in stepped))
    if report.figures:
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
    last = report.runs[-1] if report.runs else None
    if last:
        pairs = [("answers/s", last.rate)]
        pairs += [(f"{name} ms", last.latency_ms[name]) for name in last.latency_ms][:4]
        blocks.append(facts(pairs))
    return blocks


def _runs(runs: Sequence[Run]) -> Markup:
    names = list(dict.fromkeys(name for run in runs for name in run.latency_ms))
    headers = ["target", "protocol", "loop", "load", "", "seconds", "requests", "failed"]
    headers += ["answers/s", *(f"{name} ms" for name in names), "CPU ms", "late sends"]
    rows: list[Sequence[Cell]] = [
        [
            run.target,
            run.protocol,
            run.loop,
            run.load,
            badge("invalid", "error") if run.invalid else badge("valid", "good"),
            run.seconds,
            run.requests,
            run.requests - run.answered,
            run.rate,
            *(run.latency_ms.get(name) for name in names),
            run.server_cpu_ms,
            run.late_sends,
        ]
        for run in runs
    ]
    return table(headers, rows)


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


def _distribution(latencies: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Figure:
    drawn = Figure(figsize=(7.2, 3.2))
    axes = drawn.subplots()
    for place, (name, (_, values)) in enumerate(latencies.items()):
        finite = np.sort(values[np.isfinite(values)])
        if not len(finite):
            continue
        beyond = 1 - (np.arange(len(finite)) + 0.5) / len(values)
        axes.plot(1 / beyond, finite, color=_COLOURS[place % 4], linewidth=1.2, label=name)
    axes.set_xscale("log")
    axes.set_yscale("log")
    ticks = (1, 2, 10, 100, 1000, 10_000)
    axes.set_xticks(ticks, [f"{100 * (1 - 1 / tick):g} %" for tick in ticks])
    axes.minorticks_off()
    axes.set_ylabel("latency, ms")
    axes.legend(frameon=False, fontsize=7.5)
    plain_axes(axes)
    return drawn


def _over_time(latencies: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Figure:
    drawn = Figure(figsize=(7.2, 2.6))
    axes = drawn.subplots()
    for place, (times, values) in enumerate(latencies.values()):
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
        axes.plot(centres, medians, color=_COLOURS[place % 4], linewidth=1.2)
        axes.plot(centres, slowest, color=_COLOURS[place % 4], linewidth=0.7, linestyle=":")
    axes.axhline(0, color=LINE, linewidth=0.6)
    axes.set_xlabel("seconds from the start")
    axes.set_ylabel("latency, ms")
    plain_axes(axes)
    return drawn


def _flat(figures: Mapping[str, object], prefix: str = "") -> list[tuple[str, str]]:
    found = []
    for name, value in figures.items():
        if isinstance(value, Mapping):
            found += _flat(value, f"{prefix}{name}, ")
        else:
            shown = f"{value:.4g}" if isinstance(value, float) else str(value)
            found.append((f"{prefix}{name}", shown))
    return found
