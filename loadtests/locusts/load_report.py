"""A run of Locust as the project's report, and as tables on a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from loadtests.generator.outcome import Outcome
from loadtests.judging.gates import Gates, judge
from loadtests.locusts.found import Found
from loadtests.locusts.settings import Settings
from loadtests.locusts.snapshot import Snapshot
from loadtests.locusts.verdict import Pace, pace_of, why_void
from loadtests.reports.observed import OBSERVED
from loadtests.reports.run import Report, Run
from loadtests.reports.tables import number, print_figures, print_runs, print_verdict
from loadtests.subject.machine import circumstances, since
from loadtests.subject.steps import steps_between
from trimaran.stats.latency import quantiles

__all__ = ["Measured", "print_load", "report_of", "run_of"]

_BUSY = 0.9
_CLOSED_LOOP = (
    "a closed loop: a user that waits for an answer sends nothing, so a stall is felt by one "
    "request of each user and hidden from all that would have come; 'trimaran bench' sends at "
    "given times"
)
_LOCUST = "Locust's own, rounded"


@dataclass(frozen=True)
class Measured:
    """Everything that is known of a run. `pid` is the server's, where it is on this machine."""

    settings: Settings
    gates: Gates
    outcome: Outcome
    found: Found
    before: Snapshot
    after: Snapshot
    pid: int | None
    alive: bool
    """Whether the server answered at the end."""
    crash: str = ""
    """How Locust ended, if not as it should."""

    @property
    def pace(self) -> Pace | None:
        """Whether a rate that was asked for was kept; a shape has none to keep."""
        settings, users_s = self.settings, self.found.users_s
        if settings.rate is None or settings.shape is not None or users_s is None:
            return None
        first_s = float(self.found.record.began_s[0])
        from_s, until_s = (at - first_s for at in users_s)
        # A user's first turn comes within its first period.
        from_s += settings.ramp_s + settings.users / settings.rate
        return pace_of(self.outcome, settings.rate, settings.users, from_s, until_s)

    @property
    def busy(self) -> float:
        """The share of a core that each of Locust's processes used, on average."""
        wall_s = self.outcome.wall_s * self.settings.processes
        return self.found.cpu_s / wall_s if wall_s else 0.0


def run_of(measured: Measured) -> Run:
    """The run in figures, from exact times; its promises are judged unless it is void."""
    settings, outcome = measured.settings, measured.outcome
    requests, answered = len(outcome.good), int(np.count_nonzero(outcome.good))
    used_s = measured.after.cpu_s - measured.before.cpu_s
    void = why_void(
        outcome,
        gave_up=measured.found.gave_up or measured.crash,
        alive=measured.alive,
        failures_are_judged=measured.gates.max_error_ratio is not None,
        pace=measured.pace,
        suspended_s=since(measured.before.moment, measured.after.moment).suspended_s,
    )
    return Run(
        target=settings.model,
        protocol=settings.protocol,
        loop="closed",
        load=settings.load,
        seconds=outcome.wall_s,
        requests=requests,
        answered=answered,
        rate=answered / outcome.wall_s if outcome.wall_s else 0.0,
        latency_ms={name: s * 1e3 for name, s in quantiles(outcome.latency_s).items()},
        server_cpu_ms=used_s / answered * 1e3 if measured.pid and answered and used_s > 0 else None,
        generator_cpu_ms=outcome.cpu_s / requests * 1e3 if requests else None,
        steps=steps_between(measured.before.statistics, measured.after.statistics),
        void=void,
        gates=[] if void else judge(measured.gates, outcome.latency_s, outcome.wall_s),
    )


def report_of(measured: Measured, source: str, command: str) -> Report:
    """The run with its circumstances; `source` says where the payloads are from."""
    settings = measured.settings
    past = since(measured.before.moment, measured.after.moment)
    about = {
        "payloads": source,
        **circumstances(measured.pid, past, settings.seed),
        "generator's priority": "as any process",
        "Locust": f"{version('locust')}, {settings.processes} process"
        f"{'es' if settings.processes > 1 else ''}",
        "read it as": _CLOSED_LOOP,
    }
    figures: dict[str, Any] = {"Locust's share of a core": measured.busy}
    if measured.pace is not None:
        figures["requests/s sent while all users were there"] = measured.pace.rate
    locust = {f"{name} ms": value for name, value in measured.found.locust_ms.items()}
    if measured.found.locust_requests is not None:
        figures[_LOCUST] = {"requests": measured.found.locust_requests, **locust}
    return Report(f"{settings.model} under Locust", command, about, [run_of(measured)], figures)


def print_load(screen: Console, report: Report, measured: Measured) -> None:
    """The run, exact latencies beside Locust's, what to mind, and the verdict."""
    (run,) = report.runs
    print_runs(screen, report.runs)
    screen.print(_side_by_side(run.latency_ms, measured.found.locust_ms))
    notes = [f"This is {_CLOSED_LOOP}."]
    if run.requests > run.answered:
        failed = f"{run.requests - run.answered} of {run.requests} requests failed"
        notes.append(
            f"{failed}, and count as endlessly late in the exact latencies, not in Locust's: "
            f"{measured.outcome.refusal or 'no answer came'}"
        )
    if measured.busy > _BUSY:
        notes.append(
            f"Locust used {measured.busy:.0%} of a core per process: latencies hold its own "
            "delays; give it more --processes, or less to do."
        )
    if OBSERVED in report.figures:
        print_figures(screen, {OBSERVED: report.figures[OBSERVED]})
    for note in notes:
        screen.print(note, highlight=False, markup=False, soft_wrap=True)
    print_verdict(screen, report)


def _side_by_side(exact: Mapping[str, float], locust: Mapping[str, float]) -> Table:
    table = Table(title="latency, ms", title_justify="left")
    table.add_column("")
    for heading in ("exact", "Locust, rounded"):
        table.add_column(heading, justify="right")
    for name, value in exact.items():
        rounded = locust.get(name)
        table.add_row(name, number(value), "" if rounded is None else f"{rounded:,.0f}")
    return table
