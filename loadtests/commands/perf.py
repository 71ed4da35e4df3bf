"""`trimaran perf`: NVIDIA's perf_analyzer with real payloads, gates and the usual report."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.markup import escape
from rich.progress import Progress

from loadtests.gates import Gates
from loadtests.machine import Moment, circumstances, since
from loadtests.payloads import Rows, choose_rows, refused_payloads
from loadtests.perf.binary import PerfAnalyzer, find_perf_analyzer
from loadtests.perf.load import Load
from loadtests.perf.measure import measure
from loadtests.perf.results import Results
from loadtests.reports.files import write_report
from loadtests.reports.run import Report, Run
from loadtests.reports.tables import number, print_runs, print_verdict
from loadtests.subject import Service, find_service, hidden_steps, unseen, unusable
from trimaran.cli.address import Address
from trimaran.cli.options import (
    DEFAULT_REPOSITORY,
    CaFile,
    GrpcPort,
    Host,
    HttpPort,
    MaxErrorRatio,
    MinRps,
    P99Ms,
    PayloadsPath,
    ReportDirectory,
    RepositoryPath,
    TokenFile,
    Url,
)
from trimaran.serving.client import Client, UnreachableError
from trimaran.system.console import console
from trimaran.system.durations import seconds_of
from trimaran.system.errors import TrimaranError, UsageError

__all__ = ["perf"]

_ROWS = 64
_WARM_ROWS = 16
"""Sent before the measurement: the first requests after a model starts are slower."""


def perf(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A served model or ensemble, or MODEL:VERSION.")
    ],
    protocol: Annotated[str, typer.Option(help="http or grpc.")] = "http",
    connections: Annotated[
        int | None, typer.Option(help="Connections, each with one request at a time. Default: 1.")
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(help="Requests per second, at random times, instead of --connections."),
    ] = None,
    batch: Annotated[int, typer.Option(help="Rows per request.")] = 1,
    duration: Annotated[str, typer.Option(help="How long to measure.")] = "10s",
    shm: Annotated[
        bool,
        typer.Option("--shm", help="Send tensors through shared memory; only on this machine."),
    ] = False,
    seed: Annotated[int, typer.Option(help="Random seed of the payloads.")] = 0,
    payloads: PayloadsPath = None,
    p99_ms: P99Ms = None,
    min_rps: MinRps = None,
    max_error_ratio: MaxErrorRatio = None,
    out: ReportDirectory = None,
    perf_analyzer: Annotated[
        str | None,
        typer.Option(metavar="PROGRAM", help="The perf_analyzer to run, instead of the one found."),
    ] = None,
    repository: RepositoryPath = DEFAULT_REPOSITORY,
    host: Host = None,
    http_port: HttpPort = None,
    grpc_port: GrpcPort = None,
    url: Url = None,
    ca: CaFile = None,
    token_file: TokenFile = None,
) -> None:
    """Measure a served model with NVIDIA's perf_analyzer.

    Exit status: 0 if all SLOs are met, 1 if one is not, 2 if the run is invalid.
    """
    with unusable():
        seconds = seconds_of(duration, "--duration", bare=True)
        load = _load(model, protocol, connections, rate, batch, seconds, shm)
        gates = Gates(p99_ms, min_rps, max_error_ratio)
        began = Moment.now()
        try:
            given = Address(host, http_port, grpc_port, url, ca, token_file).endpoint()
            service = find_service(repository, given)
            tool = find_perf_analyzer(perf_analyzer)
            rows, run, results = _measured(tool, service, load, gates, payloads, seed)
        except KeyboardInterrupt:
            took_s = since(began, Moment.now()).seconds
            raise TrimaranError(f"interrupted after {took_s:.1f} s; nothing was measured") from None
        facts = {**_about(tool, load, results), **_through(service, load)}
        about = dict(circumstances(service.pid, since(began, Moment.now()), seed))
        about.pop("generator's priority", None)
        report = Report(
            title=f"perf_analyzer on {run.target}",
            command=shlex.join(["trimaran", *sys.argv[1:]]),
            about={"payloads": rows.source, **facts, **about},
            runs=[run],
        )
        screen = console()
        print_runs(screen, report.runs)
        for name, text in facts.items():
            screen.print(f"{name}: {text}", markup=False, highlight=False, soft_wrap=True)
        print_verdict(screen, report)
        if out is not None:
            write_report(out, report)
            screen.print(f"report: {out / 'report.html'}", markup=False, soft_wrap=True)
    raise typer.Exit(report.exit_status)


def _measured(
    tool: PerfAnalyzer, service: Service, load: Load, gates: Gates, payloads: Path | None, seed: int
) -> tuple[Rows, Run, Results]:
    """Choose payloads, send some to warm the model up, and measure with a progress bar."""
    if load.shared_memory and (service.endpoint.secure or not service.endpoint.is_local):
        raise UsageError(f"--shm needs a plain server on this machine, not {service.endpoint}")
    config = service.config(load.model, load.version)
    rows = choose_rows(
        config,
        count=max(_ROWS, load.batch),
        seed=seed,
        given=payloads,
        repository=service.published,
    )
    models = service.models(load.model)
    if hidden := hidden_steps(models):
        raise TrimaranError(
            f"{load.model}: perf_analyzer reads the configurations of its steps, of which "
            f"{service.endpoint} does not show {', '.join(hidden)}; use 'trimaran bench'"
        )
    with Client(service.endpoint, load.protocol) as client:
        for row in rows.rows[:_WARM_ROWS]:
            try:
                client.infer(load.model, row, load.version)
            except UnreachableError:
                raise
            except TrimaranError as error:
                raise refused_payloads(
                    f"{load.model}@{load.protocol}", rows.source, str(error)
                ) from error
    with Progress(console=console(stderr=True), transient=True) as bar:
        task = bar.add_task(f"perf_analyzer on {escape(load.model)}", total=load.seconds)
        run, results = measure(
            tool,
            service,
            {**models, load.model: config},
            load,
            rows,
            gates,
            lambda took_s: bar.update(task, completed=min(took_s, load.seconds)),
        )
    return rows, run, results


def _load(
    model: str,
    protocol: str,
    connections: int | None,
    rate: float | None,
    batch: int,
    seconds: float,
    shm: bool,
) -> Load:
    if protocol not in ("http", "grpc"):
        raise UsageError(f"there is no protocol {protocol!r}; choose http or grpc")
    if connections is not None and rate is not None:
        raise UsageError("give one of --connections and --rate")
    for name, value in (
        ("--connections", connections),
        ("--rate", rate),
        ("--batch", batch),
    ):
        if value is not None and not 0 < value < float("inf"):
            raise UsageError(f"{name} is {value:g}; give a number above 0")
    chosen: Literal["http", "grpc"] = "grpc" if protocol == "grpc" else "http"
    name, _, version = model.partition(":")
    return Load(name, version, chosen, connections or 1, rate, batch, seconds, shm)


def _through(service: Service, load: Load) -> Mapping[str, str]:
    """What a reader must know about a server that is reached through a gateway, by name."""
    lacks = "; ".join(unseen(service.control, [load.model], [], service.pid))
    found = {"left out": lacks} if lacks else {}
    if service.endpoint.has_token:
        found["arguments"] = (
            "perf_analyzer takes the token as an argument, which other users of this machine can "
            "read while it runs"
        )
    return found


def _about(tool: PerfAnalyzer, load: Load, results: Results) -> Mapping[str, str]:
    """What a reader must know about the tool, by name."""
    windows = ", ".join(number(rows / load.batch) for rows in results.windows)
    found = {
        "generator": f"perf_analyzer {tool.version} ({tool.executable})",
        "windows": f"{windows} requests/s; all count, however much they differ",
    }
    if load.rate is not None:
        found["latency"] = (
            "from sending, and not from the time at which a request was due: perf_analyzer's own "
            "delays, and the queue behind them, are not in it"
        )
    if results.delayed:
        found["late sends"] = (
            f"{results.delayed:.2%} by perf_analyzer's count, which counts any lateness"
        )
    return found
