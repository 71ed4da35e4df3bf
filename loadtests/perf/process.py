"""Runs perf_analyzer with progress and within a time, and removes what it leaves behind.

A perf_analyzer that is ended early leaves shared memory: files on this machine, and regions that
are registered with the server.
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import urllib3

from loadtests.perf.binary import PerfAnalyzer
from trimaran.serving.access import http_headers
from trimaran.system.endpoint import Endpoint
from trimaran.system.errors import TrimaranError
from trimaran.system.processes import Child

__all__ = ["Ended", "run_perf_analyzer", "unregister_lost"]

_POLL_S = 0.05
_PLACE = "/dev/shm"  # noqa: S108 - where glibc keeps it
_TIMEOUT_S = 2.0
_PATIENCE_S = 5.0


@dataclass(frozen=True)
class Ended:
    """The result of the process."""

    status: int
    output: str
    errors: str
    cpu_s: float
    """CPU seconds of the process, including its start."""


def run_perf_analyzer(
    tool: PerfAnalyzer,
    arguments: Sequence[str],
    directory: Path,
    *,
    most_s: float,
    progress: Callable[[float], None] = lambda _: None,
) -> Ended:
    """Run it in `directory`, and call `progress` with the seconds since its start.

    It ends with this process, and with any exception here. Raises `TrimaranError` where it takes
    longer than `most_s` (it can wait forever for an answer), or cannot be started.
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


def unregister_lost(endpoint: Endpoint, secret: str) -> None:
    """Unregister the regions whose files are gone from a server of this machine.

    A region that a request still uses stays although it is unregistered, so this is repeated for
    some seconds. A server that does not answer has none any more.
    """
    url = endpoint.url("/v2/systemsharedmemory")
    deadline = time.monotonic() + _PATIENCE_S
    pool = urllib3.PoolManager(
        retries=False, headers={"Connection": "close", **http_headers(secret)}
    )
    with suppress(urllib3.exceptions.HTTPError, ValueError, TypeError, KeyError):
        while time.monotonic() < deadline:
            regions = pool.request("GET", f"{url}/status", timeout=_TIMEOUT_S).json()
            lost = [region["name"] for region in regions if not _file(region["key"]).exists()]
            if not lost:
                return
            for name in lost:
                path = f"{url}/region/{quote(name, safe='')}/unregister"
                pool.request("POST", path, timeout=_TIMEOUT_S)
            time.sleep(_POLL_S)


def _end(process: Child) -> None:
    """End it at once. At SIGINT it would first measure its window to the end."""
    regions = set() if process.has_ended() else _regions_of(process.pid)
    process.kill()
    for region in regions:
        region.unlink(missing_ok=True)


def _children_s() -> float:
    """CPU seconds of the processes that this one waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _regions_of(pid: int) -> set[Path]:
    """The shared memory that a process has open, as files."""
    try:
        lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return set()
    return {Path(line.split()[-1]) for line in lines if line.split()[-1].startswith(f"{_PLACE}/")}


def _file(key: str) -> Path:
    return Path(_PLACE) / key.lstrip("/")
