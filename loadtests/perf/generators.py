"""`python -m loadtests.perf.generators`: perf_analyzer beside this project's own load generator.

Both send closed loops to a model that does nothing, in turns, from one core, while the server has
another; so what is compared is what a request costs the generator.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from loadtests.do_nothing import DO_NOTHING, do_nothing
from loadtests.generator.engine import Endpoint, closed_loop
from loadtests.generator.grpc_frames import GrpcCalls, grpc_message
from loadtests.generator.http1 import Http1, http_request
from loadtests.payloads.choosing import Row, Rows, choose_rows
from loadtests.payloads.encoding import GRPC_METHOD, grpc_request, http_call
from loadtests.perf.binary import PerfAnalyzer, find_perf_analyzer
from loadtests.perf.load import Load
from loadtests.perf.measure import measure
from loadtests.subject.service import Service, find_service
from trimaran.repository.config import ModelConfig
from trimaran.repository.repository import Repository
from trimaran.serving.runtime import find_runtime
from trimaran.serving.server import private_server
from trimaran.stats.ratio import paired_ratio
from trimaran.system.console import console
from trimaran.system.errors import TrimaranError
from trimaran.system.files import write_text
from trimaran.system.ports import Ports

__all__ = ["endpoint", "main"]

_PROTOCOLS: tuple[Literal["http", "grpc"], ...] = ("http", "grpc")
_TEXT = b"A customer of some length, as a record's JSON text would be. " * 8
_ROWS = 16


@dataclass(frozen=True)
class Cost:
    """What one generator made of some seconds."""

    rate: float
    """Answers per second."""
    cpu_us: float
    """The generator's CPU microseconds per request."""


@dataclass(frozen=True)
class Settings:
    """How both are measured."""

    pairs: int
    seconds: float
    """Of each run."""
    connections: int

    def __str__(self) -> str:
        many = "s" if self.connections > 1 else ""
        return (
            f"{self.pairs} pairs of {self.seconds:g} s each, in turns, {self.connections} "
            f"connection{many}"
        )


def main() -> None:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each run")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--model", help="a served model instead of one that does nothing")
    parser.add_argument("--repository", type=Path, default=Path("model_repository"))
    parser.add_argument("--perf-analyzer", help="another perf_analyzer than the found")
    parser.add_argument("--out", type=Path, help="write the table as Markdown")
    arguments = parser.parse_args()
    try:
        tool = find_perf_analyzer(arguments.perf_analyzer)
        how = Settings(arguments.pairs, arguments.seconds, arguments.connections)
        text = (
            _on_served(tool, arguments.repository, arguments.model, how)
            if arguments.model
            else _on_nothing(tool, how)
        )
    except TrimaranError as error:
        sys.exit(f"error: {error}")
    print(text)
    if arguments.out:
        write_text(arguments.out, text)


def endpoint(ports: Ports, model: str, protocol: str, rows: Sequence[Row]) -> Endpoint:
    """The same requests as perf_analyzer sends, for this project's own generator."""
    if protocol == "grpc":
        messages = [grpc_request(model, "", row).SerializeToString() for row in rows]
        authority = f"{ports.host}:{ports.grpc}"
        return Endpoint(
            (ports.host, ports.grpc),
            lambda: GrpcCalls(authority, GRPC_METHOD),
            [grpc_message(message) for message in messages],
        )
    calls = [http_call(model, "", row) for row in rows]
    authority = f"{ports.host}:{ports.http}"
    return Endpoint(
        (ports.host, ports.http),
        Http1,
        [http_request(authority, call.path, call.body, call.headers) for call in calls],
    )


def _on_nothing(tool: PerfAnalyzer, how: Settings) -> str:
    """On a model that does nothing, the server and the generator on a core each."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise TrimaranError("the server and the generator need a core each, and there is one")
    config, files = do_nothing()
    rows = Rows([{"RECORD": np.array([[_TEXT]], dtype=object)}] * _ROWS, "one text")
    with tempfile.TemporaryDirectory(prefix="trimaran-generators-") as scratch:
        repository = Repository.create(Path(scratch) / "model_repository")
        # A child starts on its parent's cores: first the server, then perf_analyzer.
        os.sched_setaffinity(0, cores[:1])
        try:
            with private_server(find_runtime(), repository) as server:
                server.control.load_given(config, files)
                os.sched_setaffinity(0, cores[-1:])
                service = Service(server.ports, server.control, server.process.pid, repository)
                costs = _costs(tool, service, {config.name: config}, DO_NOTHING, rows, how)
        finally:
            os.sched_setaffinity(0, cores)
    placement = f"the server on core {cores[0]} and the generator on core {cores[-1]}"
    return _table(costs, f"{how}, {placement}", tool)


def _on_served(tool: PerfAnalyzer, root: Path, model: str, how: Settings) -> str:
    """On a model of the server that serves a repository."""
    service = find_service(root)
    models = service.models(model)
    rows = choose_rows(models[model], count=64, seed=0, repository=service.repository)
    costs = _costs(tool, service, models, model, rows, how)
    return _table(costs, f"{model}, {how}, server and generator share all cores", tool)


def _costs(
    tool: PerfAnalyzer,
    service: Service,
    models: Mapping[str, ModelConfig],
    model: str,
    rows: Rows,
    how: Settings,
) -> Mapping[str, Mapping[str, Sequence[Cost]]]:
    found: dict[str, Mapping[str, Sequence[Cost]]] = {}
    for protocol in _PROTOCOLS:
        load = Load(model, "", protocol, how.connections, seconds=how.seconds)
        ours = endpoint(service.ports, model, protocol, rows.rows)
        generators = {
            "ours": partial(_ours, ours, how),
            "perf_analyzer": partial(_theirs, tool, service, models, load, rows),
        }
        found[protocol] = _rounds(generators, how.pairs, protocol)
    return found


def _table(
    found: Mapping[str, Mapping[str, Sequence[Cost]]], method: str, tool: PerfAnalyzer
) -> str:
    lines = [
        "| protocol | requests/s, perf_analyzer | this generator | ratio (95 % interval) "
        "| CPU µs a request, perf_analyzer | this generator | ratio (95 % interval) |",
        "|---|---|---|---|---|---|---|",
    ]
    for protocol, costs in found.items():
        cells = [protocol]
        for name in ("rate", "cpu_us"):
            theirs, ours = (
                [float(getattr(cost, name)) for cost in costs[part]]
                for part in ("perf_analyzer", "ours")
            )
            cells += [f"{float(np.median(values)):,.4g}" for values in (theirs, ours)]
            cells.append(str(paired_ratio(ours, theirs)))
        lines.append(f"| {' | '.join(cells)} |")
    lines.append("")
    lines.append(
        f"{method}; medians, and the ratio of this generator's figure to that of perf_analyzer "
        f"{tool.version}."
    )
    return "\n".join(lines) + "\n"


def _rounds(
    generators: Mapping[str, Callable[[], Cost]], pairs: int, protocol: str
) -> Mapping[str, Sequence[Cost]]:
    costs: dict[str, list[Cost]] = {name: [] for name in generators}
    screen = console(stderr=True)
    generators["ours"]()  # the first one only warms the server up
    for turn in range(pairs):
        names = list(generators)
        for name in names if turn % 2 == 0 else reversed(names):
            cost = generators[name]()
            costs[name].append(cost)
            screen.print(
                f"{protocol}, pair {turn + 1}/{pairs}, {name}: {cost.rate:,.0f} requests/s, "
                f"{cost.cpu_us:.0f} µs of CPU",
                highlight=False,
            )
    return costs


def _ours(target: Endpoint, how: Settings) -> Cost:
    outcome = closed_loop(target, connections=how.connections, seconds=how.seconds)
    if outcome.interrupted:
        raise KeyboardInterrupt
    answered = int(np.count_nonzero(outcome.good))
    if not answered or not outcome.good.all():
        raise TrimaranError(f"requests failed: {outcome.refusal or outcome.broken}")
    return Cost(answered / outcome.wall_s, outcome.cpu_s / answered * 1e6)


def _theirs(
    tool: PerfAnalyzer,
    service: Service,
    models: Mapping[str, ModelConfig],
    load: Load,
    rows: Rows,
) -> Cost:
    run, _ = measure(tool, service, models, load, rows)
    return Cost(run.rate, (run.generator_cpu_ms or 0.0) * 1e3)


if __name__ == "__main__":
    main()
