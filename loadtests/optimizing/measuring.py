"""Candidates in the real server: each alone, for its load and its limits, then all in turns."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from typing import Any

import numpy as np

from loadtests.bench.block import Settings, warm_up
from loadtests.bench.compare import Contestant, Sample, Turns, contestant, take_turns
from loadtests.bench.target import Payloads, Target, Wanted, open_target
from loadtests.gates import Gates
from loadtests.optimizing.candidates import Candidate
from loadtests.optimizing.decision import Point
from loadtests.payloads import Rows
from loadtests.reports.tables import number
from loadtests.subject import Service, private_service
from loadtests.tuning.study import Score, best_load, digest_of
from trimaran.repository.repository import Repository
from trimaran.serving.runtime import Runtime
from trimaran.serving.server import Server, private_server
from trimaran.stats.latency import least_requests
from trimaran.system.errors import TrimaranError
from trimaran.system.journal import Journal
from trimaran.system.processes import children, resident_bytes

__all__ = ["Alone", "Contest", "KeptTurns", "Plan", "rows_each"]

_LOADS = 3
_OPEN_SHARE = 0.7
_LATE_ALLOWED = 1
"""Under a bound, the open loops of a point have so many requests that one of them may be late."""
_LONGER = 10
"""How many times `Plan.seconds` a load may last for that."""


@dataclass(frozen=True)
class Plan:
    """What is measured of every candidate."""

    batch_sizes: tuple[int, ...]
    """Rows per request."""
    bound_ms: float | None
    """The highest p99, or `None`."""
    seconds: float
    """How long each load lasts."""
    turns: int
    seed: int


@dataclass(frozen=True)
class Alone:
    """A candidate in servers of its own; `refused` says why it has no figures."""

    load_s: tuple[float, ...] = ()
    """How long each load took."""
    memory: tuple[float, ...] = ()
    """Bytes of RAM that the server and its children took more, once it had answered."""
    scores: Mapping[int, Score] = field(default_factory=dict)
    """Its best loads by rows per request."""
    refused: str = ""


@dataclass(frozen=True)
class Contest:
    """How candidates of the repository `work` are measured.

    `requests` gives the requests of so many rows under a format's names; `say` gets a line for
    each step. Steps that the journal has are not measured again.
    """

    plan: Plan
    work: Repository
    runtime: Runtime
    requests: Callable[[str, int], Rows]
    journal: Journal
    say: Callable[[str], None]

    def alone(self, candidates: Sequence[Candidate]) -> dict[str, Alone]:
        """Each candidate in servers of its own, by its model's name.

        A server that refuses one, or that one takes down, has no effect on the others.
        """
        loads: dict[str, list[Any]] = {c.model: [] for c in candidates}
        for turn in range(_LOADS):
            for candidate in candidates if turn % 2 == 0 else reversed(candidates):
                if not any("refused" in load for load in loads[candidate.model]):
                    loads[candidate.model].append(self._kept_load(candidate, turn))
        return {c.model: self._joined(c, loads[c.model]) for c in candidates}

    def in_turns(
        self, candidates: Sequence[Candidate], alone: Mapping[str, Alone]
    ) -> dict[str, tuple[Point, ...]]:
        """All candidates in one server, one after the other in each turn; by the model's name.

        Each has a closed loop of the connections that were best for it alone, and an open loop at
        70 % of what it reached alone. Raises `TrimaranError` where the turns are invalid.
        """
        entries = [
            (candidate, batch, score)
            for candidate in candidates
            for batch, score in alone[candidate.model].scores.items()
            if score.rate
        ]
        served = list(dict.fromkeys(candidate.model for candidate, _, _ in entries))
        with ExitStack() as stack:

            @cache
            def service() -> Service:
                return stack.enter_context(private_service(self.work, served))

            kept = KeptTurns(self.journal, self._digest(entries), len(entries))
            contestants = [
                kept.of(place, self._contestant(service, *entry))
                for place, entry in enumerate(entries)
            ]
            turns = take_turns(contestants, self.plan.turns) if entries else Turns()
        if turns.ended and turns.invalid.startswith("interrupted"):
            raise KeyboardInterrupt
        if turns.invalid:
            raise TrimaranError(f"the comparison is invalid: {turns.invalid}")
        measured = {
            (candidate.model, batch): _point(batch, score, turns, place)
            for place, (candidate, batch, score) in enumerate(entries)
        }
        return {
            candidate.model: tuple(
                measured.get((candidate.model, batch)) or Point(batch, 0, score.p99_ms)
                for batch, score in alone[candidate.model].scores.items()
            )
            for candidate in candidates
        }

    def _kept_load(self, candidate: Candidate, turn: int) -> Any:
        def load() -> Mapping[str, Any]:
            self.say(f"{candidate.name}: load {turn + 1} of {_LOADS}")
            with private_server(self.runtime, self.work) as server:
                before = _memory(server.process.pid)
                began = time.monotonic()
                try:
                    server.control.load(candidate.model)
                    load_s = time.monotonic() - began
                    for batch in self.plan.batch_sizes:
                        with self._target(self._service(server), candidate, batch) as target:
                            warm_up(target)
                except TrimaranError as error:
                    return {"refused": f"in tritonserver: {error}"}
                return {"load_s": load_s, "memory": _memory(server.process.pid) - before}

        step = f"load {turn + 1} of {self._identity(candidate)}, rows {self.plan.batch_sizes}"
        return self._kept(step, load)

    def _joined(self, candidate: Candidate, loads: Sequence[Any]) -> Alone:
        refused = next((load["refused"] for load in loads if "refused" in load), "")
        limits = {} if refused else self._limits(candidate)
        return Alone(
            tuple(load["load_s"] for load in loads if "load_s" in load),
            tuple(load["memory"] for load in loads if "memory" in load),
            {int(batch): Score(**score) for batch, score in limits.get("scores", {}).items()},
            refused or limits.get("refused", ""),
        )

    def _limits(self, candidate: Candidate) -> Any:
        """The best loads of a candidate, each with the most connections that keep the bound."""
        bound = float("inf") if self.plan.bound_ms is None else self.plan.bound_ms

        def find() -> Mapping[str, Any]:
            scores = {}
            with private_server(self.runtime, self.work) as server:
                try:
                    server.control.load(candidate.model)
                    for batch in self.plan.batch_sizes:
                        with self._target(self._service(server), candidate, batch) as target:
                            score = best_load(target, bound, self.plan.seconds)
                        scores[str(batch)] = asdict(score)
                        self.say(
                            f"{candidate.name}, {rows_each(batch)}: {number(score.rate)} rows/s, "
                            f"p99 {number(score.p99_ms)} ms, connections {score.connections}"
                        )
                except TrimaranError as error:
                    return {"refused": f"under load: {error}"}
            return {"scores": scores}

        step = f"limits of {self._identity(candidate)}, rows {self.plan.batch_sizes}"
        return self._kept(f"{step}, p99 {bound:g} ms, {self.plan.seconds:g} s", find)

    def _kept(self, step: str, measure: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
        """What the journal has, or what is measured now; a refusal may have gone next time."""
        kept: Mapping[str, Any] | None = self.journal.get(step)
        if kept is None:
            kept = measure()
            if "refused" not in kept:
                self.journal.add(step, kept)
        return kept

    def _contestant(
        self, service: Callable[[], Service], candidate: Candidate, batch: int, score: Score
    ) -> Contestant:
        plan, rate = self.plan, _OPEN_SHARE * score.rate / batch
        seconds = plan.seconds
        if plan.bound_ms is not None:
            needed = least_requests(_LATE_ALLOWED) / rate / plan.turns
            seconds = min(max(seconds, 1.1 * needed), _LONGER * seconds)
        settings = Settings(seconds, plan.seed, score.connections, Gates(), most_rate=float("inf"))

        def measure(turn: int) -> Sample:
            with self._target(service(), candidate, batch) as target:
                measured = contestant(target, settings, True, rate)
                sample = measured(turn)
                if sample.late:  # one more try costs less than a turn of all
                    sample = measured(turn)
            if sample.invalid:
                return sample
            self.say(
                f"turn {turn + 1}: {candidate.name}, {rows_each(batch)}: "
                f"{number(sample.figures.get('rate'))} rows/s, "
                f"p99 {number(sample.figures.get('p99'))} ms"
            )
            return replace(sample, figures={**sample.figures, **_counted(sample, plan.bound_ms)})

        return measure

    @contextmanager
    def _target(self, service: Service, candidate: Candidate, batch: int) -> Iterator[Target]:
        ready = self.requests(candidate.format, batch)
        with open_target(
            Wanted(candidate.model), service, Payloads(batch=batch, ready=ready)
        ) as target:
            yield replace(target, name=f"{candidate.name}, {rows_each(batch)}")

    def _service(self, server: Server) -> Service:
        return Service(
            server.endpoint, server.control, server.process.pid, self.work, server.secret
        )

    def _identity(self, candidate: Candidate) -> str:
        """What decides how a candidate is served: its content, and the server."""
        version = self.work.newest(candidate.model)
        content = version.manifest.content if version and version.manifest else ""
        return f"{candidate.name} {content[:12]}, {self.runtime.executable}"

    def _digest(self, entries: Sequence[tuple[Candidate, int, Score]]) -> str:
        found = [(self._identity(c), batch, asdict(score)) for c, batch, score in entries]
        return digest_of(entries=found, plan=asdict(self.plan))


class KeptTurns:
    """Whole turns in the journal: a contestant of a kept turn is not measured again.

    A turn is kept once all contestants were measured, or one was invalid and ended it; so what is
    compared was always measured one right after the other.
    """

    def __init__(self, journal: Journal, plan: str, contestants: int) -> None:
        self._journal = journal
        self._plan = plan
        self._contestants = contestants
        self._turn = -1
        self._samples: dict[str, Any] = {}

    def of(self, place: int, measured: Contestant) -> Contestant:
        """The contestant at `place`, whose samples are kept."""

        def measure(turn: int) -> Sample:
            step = f"turn {turn} of {self._plan}"
            kept = self._journal.get(step)
            if kept is not None:
                return Sample(**kept[str(place)])
            if turn != self._turn:
                self._turn, self._samples = turn, {}
            sample = measured(turn)
            self._samples[str(place)] = {
                "figures": dict(sample.figures),
                "invalid": sample.invalid,
                "late": sample.late,
            }
            over = sample.invalid or len(self._samples) == self._contestants
            if over and not sample.ended:
                self._journal.add(step, self._samples)
            return sample

        return measure


def _point(batch: int, score: Score, turns: Turns, place: int) -> Point:
    def values(figure: str) -> tuple[float, ...]:
        found = [turn[place].figures.get(figure) for turn in turns.turns]
        return tuple(value for value in found if value is not None)

    return Point(
        batch,
        score.connections,
        score.p99_ms,
        values("rate"),
        values("p50"),
        values("p99"),
        values("CPU"),
        round(sum(values("requests"))),
        round(sum(values("later"))),
    )


def _counted(sample: Sample, bound_ms: float | None) -> Mapping[str, float]:
    """How many requests the open loop had, and how many were answered later than the bound."""
    if bound_ms is None or sample.late:
        return {}
    latency_ms = sample.blocks[-1].outcome.latency_s * 1e3
    later = np.count_nonzero(~(latency_ms <= bound_ms))
    return {"requests": float(len(latency_ms)), "later": float(later)}


def rows_each(batch: int) -> str:
    """`8 rows a request`."""
    return f"{batch} row{'s' if batch > 1 else ''} a request"


def _memory(pid: int) -> float:
    """Bytes of RAM of a process and everything below it."""
    return float(resident_bytes(pid)) + sum(map(_memory, children(pid)))
