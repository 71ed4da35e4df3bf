"""One block of load on one target: how it is measured, and the resulting run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np

from loadtests.bench.target import Target
from loadtests.gates import Gates, evaluate, late_sends, lateness, unfit
from loadtests.generator.engine import closed_loop, open_loop, poisson_arrivals
from loadtests.generator.outcome import Outcome
from loadtests.machine import Moment, since
from loadtests.payloads import refused_payloads
from loadtests.reports.run import Run
from loadtests.subject import Reading, statistics_after, steps_between
from trimaran.serving.client import Client
from trimaran.stats.latency import quantiles
from trimaran.system.errors import TrimaranError, UsageError
from trimaran.system.reaching import why_unreachable

__all__ = ["Block", "Settings", "closed_block", "open_block", "require_carried", "warm_up"]

_WARM_CONNECTIONS = 2


@dataclass(frozen=True)
class Block:
    """A run with its requests, and when it was."""

    run: Run
    outcome: Outcome
    began: float
    """Unix time."""
    ended: float
    late: str = ""
    """Why its latencies do not count, while the rest does; or nothing."""


@dataclass(frozen=True)
class Settings:
    """How a target is measured; `on_block` gets each block when it is done."""

    seconds: float
    seed: int
    connections: int
    gates: Gates
    most_rate: float
    """The most requests per second that the generator can send."""
    on_block: Callable[[Block], None] = field(default=lambda block: None)

    def __post_init__(self) -> None:
        """Raise `UsageError` for settings that cannot be measured."""
        if not 0 < self.seconds < float("inf"):
            raise UsageError(f"--duration is {self.seconds:g} s; give more than 0 s")
        if self.connections < 1:
            raise UsageError(f"--connections is {self.connections}; give at least 1")


def open_block(
    target: Target,
    rate: float,
    seconds: float,
    seed: int,
    gates: Gates = Gates(),  # noqa: B008 - immutable
) -> Block:
    """Requests at `rate` per second at random times that the seed decides."""
    arrivals_s = poisson_arrivals(rate, seconds, seed)
    block = _measured(target, lambda: open_loop(target.traffic, arrivals_s))
    words = f"{rate:,.0f} requests/s" if rate >= 10 else f"{rate:.2g} requests/s"
    run = replace(
        block.run,
        loop="open",
        load=words,
        seconds=seconds,
        gates=evaluate(gates, block.outcome.latency_s, seconds),
    )
    return replace(block, run=replace(run, rate=run.answered / _span_s(block.outcome, seconds)))


def closed_block(
    target: Target,
    connections: int,
    seconds: float,
    gates: Gates = Gates(),  # noqa: B008 - immutable
) -> Block:
    """Each connection sends its next request when the last one is answered."""
    block = _measured(
        target, lambda: closed_loop(target.traffic, connections=connections, seconds=seconds)
    )
    words = f"{connections} connection{'s' if connections > 1 else ''}"
    gated = evaluate(gates, block.outcome.latency_s, block.outcome.wall_s)
    return replace(block, run=replace(block.run, load=words, gates=gated))


def warm_up(target: Target) -> None:
    """Send every payload once. Raises `TrimaranError` with the server's message on a refusal."""
    count = len(target.traffic.requests)
    with _answering(target):
        outcome = open_loop(target.traffic, np.zeros(count), connections=_WARM_CONNECTIONS)
    if outcome.interrupted:
        raise KeyboardInterrupt
    refused = int(np.count_nonzero(~outcome.good))
    if outcome.broken or refused:
        words = outcome.broken or _words(target)
        if not words and refused == count and target.endpoint is not None:
            words = why_unreachable(target.endpoint, target.authority)
        words = words or outcome.refusal or "no answer came in time"
        raise refused_payloads(target.name, target.source, words, refused=refused, tried=count)


def require_carried(settings: Settings, rate: float) -> None:
    """Raise `UsageError` for a rate that the generator cannot send."""
    if rate <= 0:
        raise UsageError(f"--rate is {rate:g}; give more than 0")
    if rate > settings.most_rate:
        raise UsageError(
            f"--rate is {rate:,.0f}; the generator carries {settings.most_rate:,.0f} requests/s "
            "with these payloads on this machine; ask for less, or run several generators"
        )


def _measured(target: Target, load: Callable[[], Outcome]) -> Block:
    before = _statistics(target)
    cpu_before = target.cpu_s()
    start = Moment.now()
    with _answering(target):
        outcome = load()
    end = Moment.now()
    requests = len(outcome.good)
    answered = int(np.count_nonzero(outcome.good))
    used_s = target.cpu_s() - cpu_before
    after = {} if outcome.broken else _statistics(target, before, answered)
    spoilt = unfit(outcome, since(start, end).suspended_s)
    late = "" if spoilt else lateness(outcome)
    run = Run(
        target=target.name,
        protocol=target.protocol,
        loop="closed",
        load="",
        seconds=outcome.wall_s,
        requests=requests,
        answered=answered,
        rate=answered / outcome.wall_s,
        latency_ms={name: s * 1e3 for name, s in quantiles(outcome.latency_s).items()},
        rows=target.rows,
        late_sends=late_sends(outcome),
        server_cpu_ms=used_s / answered * 1e3 if target.pid and answered and used_s > 0 else None,
        generator_cpu_ms=outcome.cpu_s / requests * 1e3 if requests else None,
        steps=steps_between(before, after),
        invalid=spoilt or late,
    )
    return Block(run, outcome, start.wall_s, end.wall_s, late)


@contextmanager
def _answering(target: Target) -> Iterator[None]:
    """Raise `TrimaranError` where no server listens."""
    try:
        yield
    except OSError as error:
        host, port = target.traffic.address
        words = f"no server answers at {host}:{port}: {error.strerror or error}"
        if target.endpoint is not None:
            words = why_unreachable(target.endpoint, target.authority) or words
        raise TrimaranError(f"{target.name}: {words}") from error


def _span_s(outcome: Outcome, seconds: float) -> float:
    """How long the answers took: the schedule, or longer where the server lagged behind."""
    if outcome.broken or outcome.interrupted:
        return outcome.wall_s
    done = outcome.done_s[np.isfinite(outcome.done_s)]
    return max(seconds, float(done.max())) if len(done) else seconds


def _statistics(target: Target, before: Reading | None = None, answered: int = 0) -> Reading:
    """Triton's, and with `before` once the answers since then are counted."""
    if target.control is None:
        return {}
    try:
        return statistics_after(target.control, target.models, before or {}, answered)
    except TrimaranError:  # the run itself reports a server that went away
        return {}


def _words(target: Target) -> str:
    """The server's message on one request, which gRPC hides in compressed trailers."""
    if target.protocol not in ("grpc", "shm") or not target.sent or target.endpoint is None:
        return ""
    with Client(target.endpoint, "grpc") as client:
        try:
            client.infer(target.models[0], target.sent[0])
        except TrimaranError as error:
            return str(error)
    return ""
