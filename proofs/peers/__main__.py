"""Measures other servers on the same jobs, each in turn with trimaran's server."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from loadtests.bench.block import Settings
from loadtests.bench.compare import require_turns
from loadtests.bench.present import block_line
from loadtests.gates import KEPT, Gates
from loadtests.reports.tables import number
from loadtests.subject import private_service, unusable
from proofs.peers.catalogue import PEERS, peer_named
from proofs.peers.measure import JOBS, Comparison, measure_peers
from proofs.peers.page import write_peers_page
from trimaran.cli.options import DEFAULT_REPOSITORY
from trimaran.repository.repository import Repository
from trimaran.system.console import console
from trimaran.system.durations import seconds_of
from trimaran.system.errors import TrimaranError, UsageError

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print a table, and write the page where one is asked for; 2 for an invalid run."""
    parser = argparse.ArgumentParser(prog="python -m proofs.peers", description=__doc__)
    parser.add_argument(
        "--peer",
        action="append",
        metavar="NAME",
        help=f"only this server; repeatable: {', '.join(PEERS)}",
    )
    parser.add_argument(
        "--job", action="append", help=f"only this job; repeatable: {', '.join(JOBS)}"
    )
    parser.add_argument(
        "--turns", type=int, default=10, help="turns of each comparison; default 10"
    )
    parser.add_argument(
        "--duration", default="2s", help="how long each load in a turn runs; default 2s"
    )
    parser.add_argument(
        "--connections", type=int, default=16, help="connections of the closed loop; default 16"
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="random seed of the payloads and send times"
    )
    parser.add_argument(
        "--trials",
        type=Path,
        metavar="FILE",
        help="file that keeps results; a later call continues from it",
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="Markdown page to write, with its plot next to it",
    )
    parser.add_argument(
        "--repository", type=Path, default=DEFAULT_REPOSITORY, help="the model repository"
    )
    given = parser.parse_args(arguments)
    try:
        with unusable():
            _run(given, ["-m", "proofs.peers", *(sys.argv[1:] if arguments is None else arguments)])
    except TrimaranError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_status
    return KEPT


def _run(given: argparse.Namespace, words: Sequence[str]) -> None:
    jobs = list(given.job or JOBS)
    for job in jobs:
        if job not in JOBS:
            raise UsageError(f"there is no job {job!r}; choose from {', '.join(JOBS)}")
    require_turns(given.turns)
    peers = [peer_named(name) for name in given.peer or PEERS]
    seconds = seconds_of(given.duration, "--duration", bare=True)
    settings = Settings(
        seconds,
        given.seed,
        given.connections,
        Gates(),
        float("inf"),
        lambda block: print(block_line(block), file=sys.stderr),
    )
    repository = Repository.open(given.repository)
    with private_service(repository, [JOBS[job].model for job in jobs]) as service:
        found = measure_peers(
            service,
            peers,
            jobs,
            settings,
            given.turns,
            given.trials,
            lambda step: print(step, flush=True),
        )
    console().print(_table(found))
    if given.output:
        command = shlex.join([".venv/bin/python", *words])
        write_peers_page(given.output, found, command, _method(settings, given.turns))


def _method(settings: Settings, turns: int) -> str:
    """How it was measured, for the page."""
    return (
        f"{turns} turns: in each, both have a closed loop of {settings.connections} "
        f"connections and an open loop at 70 % of what the slower one reached, "
        f"{settings.seconds:g} s each, every second turn backwards. Rate and CPU are the "
        "closed loop's, p99 is the open loop's, from the time at which a request was due. "
        "Medians, and ratios with 95 % bootstrap intervals over the turns. Only the two that "
        "are compared run at a time, and all processes of the other are stopped while ours is "
        "measured, since LitServe and Ray Serve keep half and a quarter of a core busy when "
        "no request comes. Before anything is measured, each peer must give the "
        "answers of the work in one process."
    )


def _table(found: Sequence[Comparison]) -> Table:
    table = Table()
    for heading in ("ours", "compared with"):
        table.add_column(heading)
    for heading in ("rows/s", "theirs", "rate", "p99", "CPU"):
        table.add_column(heading, justify="right")
    for one in found:
        ratios = [one.ratios.get(figure) for figure in ("rate", "p99", "CPU")]
        table.add_row(
            one.ours,
            one.theirs,
            *(number(value) for value in one.medians.get("rate", (None, None))),
            *(str(ratio) if ratio else "" for ratio in ratios),
        )
    return table


if __name__ == "__main__":
    sys.exit(main())
