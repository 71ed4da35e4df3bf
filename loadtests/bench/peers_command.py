"""`trimaran bench peers`: other servers on the same jobs, each in turn with ours."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from loadtests.bench.peers import JOBS, Beside, measure_peers
from loadtests.bench.peers_page import write_peers_page
from loadtests.bench.settings import Settings
from loadtests.peers.catalogue import PEERS, peer_named
from loadtests.reports.tables import number
from loadtests.subject.private import private_service
from trimaran.repository.repository import Repository
from trimaran.system.console import console
from trimaran.system.errors import UsageError

__all__ = ["bench_peers"]


def bench_peers(
    root: Path,
    settings: Settings,
    turns: int,
    names: Sequence[str],
    jobs: Sequence[str],
    trials: Path | None,
    page: Path | None,
) -> None:
    """Measure, print, and write the page where one is asked for."""
    for job in jobs:
        if job not in JOBS:
            raise UsageError(f"there is no job {job!r}; choose from {', '.join(JOBS)}")
    peers = [peer_named(name) for name in names or PEERS]
    wanted = list(jobs or JOBS)
    repository = Repository.open(root)
    with private_service(repository, [JOBS[job].model for job in wanted]) as service:
        found = measure_peers(
            service, peers, wanted, settings, turns, trials, lambda step: print(step, flush=True)
        )
    console().print(_table(found))
    if page:
        method = (
            f"{turns} turns: in each, both have a closed loop of {settings.connections} "
            f"connections and an open loop at 70 % of what the slower one reached, "
            f"{settings.seconds:g} s each, every second turn backwards. Rate and CPU are the "
            "closed loop's, p99 is the open loop's, from the time at which a request was due. "
            "Medians, and ratios with 95 % bootstrap intervals over the turns. Only the two that "
            "are compared run at a time, and all processes of the other are stopped while ours is "
            "measured, since LitServe and Ray Serve keep half and a quarter of a core busy when "
            "nobody asks. Before anything is measured, each peer must give the "
            "answers of the work in one process."
        )
        write_peers_page(page, found, shlex.join([".venv/bin/trimaran", *sys.argv[1:]]), method)


def _table(found: Sequence[Beside]) -> Table:
    table = Table()
    for heading in ("ours", "beside"):
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
