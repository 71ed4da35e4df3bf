"""`trimaran locust`: Locust's users on a served model, with exact latencies, SLOs, a report."""

from __future__ import annotations

import importlib.util
import shlex
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from loadtests.gates import Gates
from loadtests.locusts.calls import encode, in_turn, refusal_of, save_calls
from loadtests.locusts.choice import CALLS_NAME, DEFAULT_TIMEOUT_S, ROWS
from loadtests.locusts.load_report import Measured, Snapshot, print_load, report_of
from loadtests.locusts.process import Ended, keep_locust_files, last_error, run_locust
from loadtests.locusts.record import outcome_of, read_found
from loadtests.locusts.settings import STOP_TIMEOUT_S, Settings
from loadtests.payloads import choose_rows, refused_payloads
from loadtests.reports.files import write_report
from loadtests.reports.observed import with_observed
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
    RepositoryPath,
    TokenFile,
    Url,
)
from trimaran.system.console import console
from trimaran.system.durations import seconds_of
from trimaran.system.errors import TrimaranError, UsageError
from trimaran.system.files import temporary_directory
from trimaran.system.ports import free_ports
from trimaran.system.processes import cpu_s

__all__ = ["locust"]

_END_S = 30.0


def locust(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A served model or ensemble.")],
    users: Annotated[int, typer.Option(help="Most users at a time.")] = 10,
    duration: Annotated[str, typer.Option(help="How long users send: 30s, 5m or 1h30m.")] = "30s",
    protocol: Annotated[str, typer.Option(help="http (binary tensors), json or grpc.")] = "http",
    rate: Annotated[
        float | None,
        typer.Option(
            help="Requests per second of all users together. Default: as fast as they are answered."
        ),
    ] = None,
    shape: Annotated[
        str | None, typer.Option(help="How the number of users changes: step, spike or soak.")
    ] = None,
    spawn_rate: Annotated[
        float | None, typer.Option(help="Users that start per second. Default: all at once.")
    ] = None,
    processes: Annotated[
        int, typer.Option(help="Locust processes, to use more than one core.")
    ] = 1,
    seed: Annotated[int, typer.Option(help="Random seed of the photographs and records.")] = 0,
    payloads: PayloadsPath = None,
    p99_ms: P99Ms = None,
    min_rps: MinRps = None,
    max_error_ratio: MaxErrorRatio = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Folder for the report, all requests and Locust's own files."
        ),
    ] = None,
    repository: RepositoryPath = DEFAULT_REPOSITORY,
    host: Host = None,
    http_port: HttpPort = None,
    grpc_port: GrpcPort = None,
    url: Url = None,
    ca: CaFile = None,
    token_file: TokenFile = None,
) -> None:
    """Load-test a served model with users who wait for each answer before they send again.

    This closed loop hides stalls: while the server stands still, users send nothing, so few
    requests count as slow. 'trimaran bench' sends at planned times, whatever the server does.

    Exit status: 0 if all SLOs are met, 1 if one is not, 2 if the run is invalid or cannot start.
    Ctrl-C ends the users and reports what was measured.
    """
    with unusable():
        settings = Settings(
            model,
            protocol,
            users,
            seconds_of(duration, "--duration", bare=True),
            rate,
            shape,
            spawn_rate,
            seed,
            processes,
        )
        gates = Gates(p99_ms, min_rps, max_error_ratio)
        if importlib.util.find_spec("locust") is None:
            raise TrimaranError(
                "Locust is not installed; run pip install '.[loadtests]' in trimaran's checkout"
            )
        if out is not None:
            _make(out)
        given = Address(host, http_port, grpc_port, url, ca, token_file).endpoint()
        service = find_service(repository, given)
        with temporary_directory() as scratch:
            source = _prepare(settings, service, payloads, scratch)
            _say(f"{model}: {source}; {settings.load} for {settings.seconds:.0f} s over {protocol}")
            models = service.models(model)
            for words in unseen(service.control, models, hidden_steps(models), service.pid):
                _say(f"{model}: {words}")
            measured = _measure(settings, service, gates, scratch)
            report = with_observed(
                report_of(measured, source, shlex.join(["trimaran", *sys.argv[1:]])),
                service.repository,
                measured.before.moment.wall_s,
                measured.after.moment.wall_s,
            )
            if out is not None:
                keep_locust_files(scratch, out)
        if out is not None:
            write_report(out, report, {f"{model}, {settings.load}": measured.outcome})
    print_load(console(), report, measured)
    if out is not None:
        _say(f"written to {out}")
    raise typer.Exit(report.exit_status)


def _prepare(settings: Settings, service: Service, given: Path | None, directory: Path) -> str:
    """Requests of which the first was answered, in a file; where they are from in words."""
    rows = choose_rows(
        service.config(settings.model),
        count=ROWS,
        seed=settings.seed,
        given=given,
        repository=service.published,
    )
    calls = [encode(settings.protocol, settings.model, row) for row in rows.rows]
    if words := refusal_of(calls[0], service.endpoint, DEFAULT_TIMEOUT_S):
        raise refused_payloads(f"{settings.model}@{settings.protocol}", rows.source, words)
    save_calls(directory / CALLS_NAME, in_turn([calls]))
    return rows.source


def _measure(settings: Settings, service: Service, gates: Gates, directory: Path) -> Measured:
    """Run Locust. Raises `TrimaranError` where it ends without a request."""
    before = Snapshot.take(service, settings.model)

    def on_line(line: Mapping[str, Any]) -> None:
        nonlocal before
        if "started" in line:
            before = replace(before, cpu_s=cpu_s(service.pid) if service.pid else 0.0)
        else:
            _say(_progress(line))

    ended = run_locust(
        settings.command(service.endpoint, directory, free_ports().http),
        directory,
        token=service.endpoint.token,
        longest_s=settings.seconds + STOP_TIMEOUT_S + _END_S,
        on_line=on_line,
    )
    found = read_found(directory)
    if not len(found.record.good):
        if ended.interrupted:
            raise KeyboardInterrupt
        raise TrimaranError(found.gave_up or f"{_crash(ended, directory)}, without a request")
    return Measured(
        settings,
        gates,
        outcome_of(found, ended.interrupted),
        found,
        before,
        Snapshot.take(service, settings.model),
        service.pid,
        service.control.is_live(),
        crash=_crash(ended, directory) if not found.gave_up else "",
    )


def _crash(ended: Ended, directory: Path) -> str:
    if ended.status == 0 or ended.interrupted:
        return ""
    if ended.status < 0:
        return f"Locust was killed by signal {-ended.status}"
    return f"Locust ended with status {ended.status}: {last_error(directory)}"


def _progress(line: Mapping[str, Any]) -> str:
    return (
        f"{line['users']:>5} users  {line['requests']:>9,} requests  "
        f"{line['failures']:>6,} failed  {line['rate']:>8,.0f}/s  "
        f"p99 so far {line['p99_ms']:,.0f} ms"
    )


def _make(out: Path) -> None:
    """The directory for results, tried before anything is measured."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=out).close()
    except OSError as error:
        raise UsageError(f"--out {out}: no files can be written there: {error.strerror}") from error


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)
