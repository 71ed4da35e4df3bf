"""`trimaran bench`: a target's profile, one load, the highest rate under a bound, or a ratio."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from loadtests.bench.block import Block, Settings, warm_up
from loadtests.bench.compare import compare, ratio_gates, require_latencies, require_turns
from loadtests.bench.plan import Measured, find_max, one_load, profile
from loadtests.bench.present import block_line, compare_report, print_compared, target_report
from loadtests.bench.sides import in_front_of
from loadtests.bench.target import PROTOCOLS, Payloads, Target, Wanted, open_target, url_target
from loadtests.gates import Gates
from loadtests.generator.ceiling import generator_ceiling
from loadtests.machine import Moment, circumstances, since
from loadtests.reports.files import write_report
from loadtests.reports.observed import with_observed
from loadtests.reports.run import Report
from loadtests.reports.tables import print_figures, print_runs, print_verdict
from loadtests.subject import Service, find_service, unseen, unusable, variant
from trimaran.cli.address import Address
from trimaran.cli.options import (
    DEFAULT_REPOSITORY,
    AsJson,
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
from trimaran.cli.renamed import refuse_old_names
from trimaran.system.console import console
from trimaran.system.durations import seconds_of
from trimaran.system.endpoint import Endpoint
from trimaran.system.errors import UsageError

__all__ = ["bench", "refuse_mixtures"]

_CARRIED_SHARE = 0.8
"""Of the generator's ceiling: beyond it, sends would be late."""

_LOADS = ("--rate", "--find-max", "--closed")
_OF_PAIRS = ("--vs-config", "--min-rate-ratio", "--max-p99-ratio")
_OF_ONE = ("--p99-ms", "--min-rps", "--max-error-ratio", "--price")


def bench(
    target: Annotated[
        str,
        typer.Argument(metavar="TARGET", help="MODEL, MODEL:VERSION, MODEL@PROTOCOL, or a URL."),
    ],
    vs: Annotated[
        str | None,
        typer.Option(
            metavar="TARGET",
            help="Another target; the two are measured in turn and compared by ratios.",
        ),
    ] = None,
    protocol: Annotated[
        str, typer.Option(help=f"{', '.join(PROTOCOLS)}; TARGET@PROTOCOL overrides it.")
    ] = "http",
    rate: Annotated[
        float | None, typer.Option(help="Requests per second, at random times (open loop).")
    ] = None,
    find_max_rate: Annotated[
        bool, typer.Option("--find-max", help="Find the highest rate that keeps --p99-ms.")
    ] = False,
    closed: Annotated[
        bool, typer.Option("--closed", help="Run only a closed loop of --connections.")
    ] = False,
    duration: Annotated[
        str | None, typer.Option(help="How long each load runs. Default: 10s; 2s with --vs.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Random seed of the payloads and send times.")] = 0,
    connections: Annotated[int, typer.Option(help="Connections of the closed loop.")] = 16,
    batch: Annotated[int, typer.Option(help="Rows per request.")] = 1,
    payloads: PayloadsPath = None,
    turns: Annotated[
        int, typer.Option(help="With --vs: how often each of the two is measured.")
    ] = 10,
    vs_direct: Annotated[
        bool,
        typer.Option(
            "--vs-direct",
            help="Compare TARGET at --url with the server behind it: that of the repository, or "
            "of --host and the ports.",
        ),
    ] = False,
    vs_config: Annotated[
        Path | None,
        typer.Option(help="With --vs MODEL: the config.pbtxt to measure that model with."),
    ] = None,
    pid: Annotated[
        int | None, typer.Option(help="For a URL: the process whose CPU is counted.")
    ] = None,
    p99_ms: P99Ms = None,
    min_rps: MinRps = None,
    max_error_ratio: MaxErrorRatio = None,
    min_rate_ratio: Annotated[
        float | None,
        typer.Option(help="SLO with --vs: the lowest ratio of TARGET's throughput to the other's."),
    ] = None,
    max_p99_ratio: Annotated[
        float | None,
        typer.Option(help="SLO with --vs: the highest ratio of TARGET's p99 to the other's."),
    ] = None,
    price: Annotated[
        float | None,
        typer.Option(help="Price of the machine per hour; adds the cost of a million rows."),
    ] = None,
    out: ReportDirectory = None,
    as_json: AsJson = False,
    repository: RepositoryPath = DEFAULT_REPOSITORY,
    host: Host = None,
    http_port: HttpPort = None,
    grpc_port: GrpcPort = None,
    url: Url = None,
    ca: CaFile = None,
    token_file: TokenFile = None,
) -> None:
    """Benchmark a served model, or compare two, with latencies from when each request was due.

    Exit status: 0 if all SLOs are met, 1 if one is not, 2 if the run is invalid.
    """
    with unusable(), ExitStack() as stack:
        require_turns(turns)
        if vs_direct and url is None:
            raise UsageError("--vs-direct goes with --url, the address of the gateway")
        seconds = seconds_of(duration, "--duration", bare=True) if duration else None
        refuse_mixtures(
            target,
            {
                "--vs": vs or vs_direct,
                "--rate": rate,
                "--find-max": find_max_rate,
                "--closed": closed,
                "--vs-config": vs_config,
                "--p99-ms": p99_ms,
                "--min-rps": min_rps,
                "--max-error-ratio": max_error_ratio,
                "--min-rate-ratio": min_rate_ratio,
                "--max-p99-ratio": max_p99_ratio,
                "--price": price,
            },
        )
        wanted = Wanted.parse(target, protocol)
        other = Wanted.parse(vs, protocol) if vs else wanted.over_http1 if vs_direct else None
        needs_service = not wanted.url or (other is not None and not other.url)
        address = Address(host, http_port, grpc_port, url, ca, token_file)
        named = address.without_ports() if vs_direct else address
        service = find_service(repository, named.endpoint()) if needs_service else None
        direct = find_service(repository, address.without_url().endpoint()) if vs_direct else None
        screen = console(stderr=True)
        started = Moment.now()
        rows = Payloads(seed, 64, batch, payloads)
        opened = _open(stack, wanted, service, rows, address, pid)
        if service is not None and direct is not None:
            opened = in_front_of(direct, service.endpoint, opened)
        if opened.control is not None:
            for words in unseen(opened.control, opened.models, opened.hidden, opened.pid):
                screen.print(f"{opened.name}: {words}", highlight=False, soft_wrap=True)
        ceiling = generator_ceiling(opened.traffic, opened.framing)
        screen.print(
            f"{opened.name}: {opened.source}; the generator carries {ceiling.rate:,.0f} requests/s "
            f"({ceiling.cpu_s * 1e6:.0f} µs of CPU each)",
            highlight=False,
            soft_wrap=True,
        )
        settings = Settings(
            seconds=(2.0 if other else 10.0) if seconds is None else seconds,
            seed=seed,
            connections=connections,
            gates=Gates(p99_ms, min_rps, max_error_ratio),
            most_rate=_CARRIED_SHARE * ceiling.rate,
            on_block=_show,
        )
        command = shlex.join(["trimaran", *sys.argv[1:]])
        if other is None:
            measured = _measure(opened, settings, rate, find_max_rate, closed, price)
            about = circumstances(opened.pid, since(started, Moment.now()), seed)
            report = target_report(command, opened, ceiling, measured, about)
            _finish(_observed(report, service, measured.blocks), measured.blocks, out, as_json)
            return
        config = vs_config
        if config is not None and service is not None and not other.url:
            name = stack.enter_context(variant(direct or service, other.model, config))
            other = Wanted(name, protocol=other.protocol)
        theirs = _open(stack, other, direct or service, rows, address, None)
        compared = compare(opened, theirs, settings, turns, rate)
        if rate is not None or max_p99_ratio is not None:
            compared = require_latencies(compared)
        gates = ratio_gates(compared.ratios, min_rate_ratio, max_p99_ratio)
        about = circumstances(opened.pid, since(started, Moment.now()), seed)
        report = compare_report(command, opened, theirs, ceiling, compared, gates, about)
        report = _observed(report, direct or service, compared.turns.blocks())
        if not as_json:
            print_compared(console(), opened.name, theirs.name, compared)
            print_verdict(console(), report)
        _write(report, compared.turns.blocks(), out, as_json)
        raise typer.Exit(report.exit_status)


def _open(
    stack: ExitStack,
    wanted: Wanted,
    service: Service | None,
    payloads: Payloads,
    address: Address,
    pid: int | None,
) -> Target:
    """A target that answered each of its payloads once."""
    if wanted.url or service is None:
        opened = url_target(wanted, _origin(wanted, address), payloads.given, pid)
    else:
        opened = stack.enter_context(open_target(wanted, service, payloads))
    warm_up(opened)
    return opened


def _origin(wanted: Wanted, address: Address) -> Endpoint:
    """The server of a URL. Other servers are asked without TLS, and get no token then."""
    if wanted.origin.startswith("https://"):
        return address.at(wanted.origin, named="TARGET")
    return Endpoint.at(wanted.origin, named="TARGET")


def _measure(
    target: Target,
    settings: Settings,
    rate: float | None,
    search: bool,
    closed: bool,
    price: float | None,
) -> Measured:
    if search:
        return find_max(target, settings)
    if closed or rate is not None:
        return one_load(target, settings, rate)
    return profile(target, settings, price)


def _observed(report: Report, service: Service | None, blocks: Sequence[Block]) -> Report:
    if service is None or not blocks:
        return report
    return with_observed(report, service.repository, blocks[0].began, blocks[-1].ended)


def _finish(report: Report, blocks: list[Block], out: Path | None, as_json: bool) -> None:
    if not as_json:
        screen = console()
        print_runs(screen, report.runs)
        print_figures(screen, report.figures)
        print_verdict(screen, report)
    _write(report, blocks, out, as_json)
    raise typer.Exit(report.exit_status)


def _write(report: Report, blocks: list[Block], out: Path | None, as_json: bool) -> None:
    if as_json:
        print(report.json_text())
    if out:
        outcomes = {
            f"{place + 1}. {block.run.target}, {block.run.load}": block.outcome
            for place, block in enumerate(blocks)
        }
        write_report(out, report, outcomes)
        console(stderr=True).print(f"written to {out}", highlight=False)


def _show(block: Block) -> None:
    print(block_line(block), file=sys.stderr)


def refuse_mixtures(target: str, options: Mapping[str, object]) -> None:
    """Raise `UsageError` for options that would be ignored.

    `options` has each option's value by its name; None and False are options that nobody gave.
    """
    refuse_old_names("bench", [target])
    given = [name for name, value in options.items() if value is not None and value is not False]
    loads = [name for name in given if name in _LOADS]
    of_pairs = [name for name in given if name in _OF_PAIRS]
    of_one = [name for name in given if name in _OF_ONE]
    if len(loads) > 1:
        raise UsageError("give one of --rate, --find-max and --closed")
    if "--vs" in given:
        if loads and loads != ["--rate"]:
            raise UsageError(
                f"--vs takes turns in a closed and an open loop, or at --rate; leave {loads[0]} out"
            )
        if of_one:
            raise UsageError(
                f"{of_one[0]} checks one target; with --vs, give --min-rate-ratio or "
                "--max-p99-ratio"
            )
    elif of_pairs:
        raise UsageError(f"{of_pairs[0]} goes with --vs")
