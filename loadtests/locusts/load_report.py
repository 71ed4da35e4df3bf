"""A run of Locust as a report: its figures, whether it is valid, and tables on a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from loadtests.gates import Gates, evaluate, invalid
from loadtests.generator.outcome import Outcome
from loadtests.locusts.record import Found
from loadtests.locusts.settings import Settings
from loadtests.machine import Moment, circumstances, since
from loadtests.reports.observed import OBSERVED
from loadtests.reports.run import Report, Run
from loadtests.reports.tables import number, print_figures, print_runs, print_verdict
from loadtests.subject import Reading, Service, read_statistics, steps_between
from trimaran.stats.latency import quantiles
from trimaran.system.errors import TrimaranError
from trimaran.system.processes import cpu_s

__all__ = [
    "Measured",
    "Pace",
    "Snapshot",
    "pace_of",
    "print_load",
    "report_of",
    "run_of",
    "why_invalid",
]

_REACHED = 0.95
_LEAST_S = 1.0
_BUSY = 0.9
_CLOSED_LOOP = (
    "a closed loop: a user that waits for an answer sends nothing, so a stall delays only one "
    "request of each user, and those that would have come meanwhile are never counted; "
    "'trimaran bench' sends at planned times"
)
_LOCUST = "Locust's own, rounded"


@dataclass(frozen=True)
class Snapshot:
    """Clocks, the server's CPU seconds (0 where it is on another machine), Triton's counts."""

    moment: Moment
    cpu_s: float
    statistics: Reading

    @classmethod
    def take(cls, service: Service, model: str) -> Snapshot:
        """The present ones. The counts are empty where the server does not answer."""
        statistics: Reading = {}
        with suppress(TrimaranError):
            statistics = read_statistics(service.control, service.models(model))
        return cls(Moment.now(), cpu_s(service.pid) if service.pid else 0.0, statistics)


@dataclass(frozen=True)
class Pace:
    """How many requests were sent while all users were running, and how many were requested."""

    sent: int
    asked: float
    seconds: float
    users: int

    @property
    def rate(self) -> float:
        """Requests per second that were sent."""
        return self.sent / self.seconds

    @property
    def is_kept(self) -> bool:
        """Whether at most 5 % are missing, and one of each user that was not due yet."""
        return self.sent >= _REACHED * self.asked - self.users


@dataclass(frozen=True)
class Measured:
    """A run with all its measurements. `pid` is the server's, where it is on this machine."""

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
    """How Locust failed, or nothing."""

    @property
    def pace(self) -> Pace | None:
        """Whether the requested rate was kept; `None` without one, and with a shape."""
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
    """The run in figures, from exact times; its SLOs are checked unless it is invalid."""
    settings, outcome = measured.settings, measured.outcome
    requests, answered = len(outcome.good), int(np.count_nonzero(outcome.good))
    used_s = measured.after.cpu_s - measured.before.cpu_s
    invalid = why_invalid(
        outcome,
        gave_up=measured.found.gave_up or measured.crash,
        alive=measured.alive,
        failures_are_gated=measured.gates.max_error_ratio is not None,
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
        invalid=invalid,
        gates=[] if invalid else evaluate(measured.gates, outcome.latency_s, outcome.wall_s),
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
        figures["requests/s sent while all users were running"] = measured.pace.rate
    locust = {f"{name} ms": value for name, value in measured.found.locust_ms.items()}
    if measured.found.locust_requests is not None:
        figures[_LOCUST] = {"requests": measured.found.locust_requests, **locust}
    return Report(f"{settings.model} under Locust", command, about, [run_of(measured)], figures)


def print_load(screen: Console, report: Report, measured: Measured) -> None:
    """The run, exact latencies next to Locust's, notes, and the verdict."""
    (run,) = report.runs
    print_runs(screen, report.runs)
    screen.print(_side_by_side(run.latency_ms, measured.found.locust_ms))
    notes = [f"This is {_CLOSED_LOOP}."]
    if run.requests > run.answered:
        failed = f"{run.requests - run.answered} of {run.requests} requests failed"
        notes.append(
            f"{failed}, and count as infinitely late in the exact latencies, not in Locust's: "
            f"{measured.outcome.refusal or 'no answer came'}"
        )
    if measured.busy > _BUSY:
        notes.append(
            f"Locust used {measured.busy:.0%} of a core per process: latencies contain its own "
            "delays; give it more --processes, or less to do."
        )
    if OBSERVED in report.figures:
        print_figures(screen, {OBSERVED: report.figures[OBSERVED]})
    for note in notes:
        screen.print(note, highlight=False, markup=False, soft_wrap=True)
    print_verdict(screen, report)


def pace_of(
    outcome: Outcome, rate: float, users: int, from_s: float, until_s: float
) -> Pace | None:
    """Between two times, or until the run ended; `None` for under a second."""
    until_s = min(until_s, outcome.wall_s)
    if until_s - from_s < _LEAST_S:
        return None
    sent = int(np.count_nonzero((outcome.sent_s >= from_s) & (outcome.sent_s < until_s)))
    return Pace(sent, rate * (until_s - from_s), until_s - from_s, users)


def why_invalid(
    outcome: Outcome,
    *,
    gave_up: str = "",
    alive: bool = True,
    failures_are_gated: bool = False,
    pace: Pace | None = None,
    suspended_s: float = 0.0,
) -> str:
    """Why the run is invalid, or nothing if it counts.

    Failures above 1 % make it invalid, unless an SLO limits them (`failures_are_gated`) and some
    request was answered. So does a requested pace that was not kept: users waited for answers
    instead of sending.
    """
    if gave_up:
        return f"stopped after {outcome.wall_s:.1f} s: {gave_up}"
    if not alive and not outcome.interrupted:
        return f"the server no longer answers at the end{_words(outcome)}"
    judged = outcome
    if failures_are_gated and outcome.good.any():
        judged = replace(outcome, good=np.ones_like(outcome.good))
    found = invalid(judged, suspended_s)
    if not found and pace is not None and not pace.is_kept:
        found = (
            f"only {pace.rate:,.1f} of the {pace.asked / pace.seconds:,.1f} requests/s of "
            f"--rate were sent, because users waited for answers; add --users, or lower --rate"
        )
    return found


def _side_by_side(exact: Mapping[str, float], locust: Mapping[str, float]) -> Table:
    table = Table(title="latency, ms", title_justify="left")
    table.add_column("")
    for heading in ("exact", "Locust, rounded"):
        table.add_column(heading, justify="right")
    for name, value in exact.items():
        rounded = locust.get(name)
        table.add_row(name, number(value), "" if rounded is None else f"{rounded:,.0f}")
    return table


def _words(outcome: Outcome) -> str:
    return f": {outcome.refusal}" if outcome.refusal else ""
