"""Runs perf_analyzer: with progress, within a time, and never left behind."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from loadtests.perf.binary import PerfAnalyzer
from loadtests.perf.shared_regions import regions_of
from trimaran.system.errors import TrimaranError
from trimaran.system.processes import Child

__all__ = ["Ended", "run_perf_analyzer"]

_POLL_S = 0.05


@dataclass(frozen=True)
class Ended:
    """What the process left."""

    status: int
    output: str
    errors: str
    cpu_s: float
    """CPU seconds of the whole process, its start included."""


def run_perf_analyzer(
    tool: PerfAnalyzer,
    arguments: Sequence[str],
    directory: Path,
    *,
    most_s: float,
    progress: Callable[[float], None] = lambda _: None,
) -> Ended:
    """Run it in `directory`, telling `progress` the seconds that went by.

    It ends with this process, and with any exception here. Raises `TrimaranError` where it takes
    longer than `most_s` (it can wait for ever for an answer), or cannot be started.
    """
    output, errors = directory / "output", directory / "errors"
    with output.open("wb") as out, errors.open("wb") as err:
        try:
            process = Child(
                [tool.executable, *arguments],
                stdout=out,
                stderr=err,
                directory=directory,
                environment={**os.environ, **tool.environment},
            )
        except OSError as error:
            raise TrimaranError(f"{tool.executable} cannot be started: {error}") from error
    began, used_before_s = time.monotonic(), _children_s()
    try:
        while not process.has_ended():
            took_s = time.monotonic() - began
            if took_s > most_s:
                raise TrimaranError(
                    f"perf_analyzer did not end within {most_s:.0f} s: the server has not answered "
                    "all requests, or perf_analyzer hangs; try a lower load, or again"
                )
            progress(took_s)
            time.sleep(_POLL_S)
    finally:
        _end(process)
    return Ended(
        process.status,
        output.read_text(errors="replace"),
        errors.read_text(errors="replace"),
        _children_s() - used_before_s,
    )


def _end(process: Child) -> None:
    """End it at once. Asked with SIGINT it would measure its window to the end first."""
    regions = set() if process.has_ended() else regions_of(process.pid)
    process.kill()
    for region in regions:
        region.unlink(missing_ok=True)


def _children_s() -> float:
    """CPU seconds of the processes that this one waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
