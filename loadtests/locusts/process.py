"""Locust as a process: started, read, interrupted, ended with all its workers, and its files."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trimaran.cli.address import TOKEN_VARIABLE
from trimaran.system.errors import TrimaranError
from trimaran.system.processes import PIPE, Child, sigterm_as_interrupt

__all__ = ["KEPT", "LOG_NAME", "Ended", "keep_locust_files", "last_error", "run_locust"]

LOG_NAME = "locust.log"
KEPT = (
    "locust.html",
    "locust_stats.csv",
    "locust_stats_history.csv",
    "locust_failures.csv",
    "locust_exceptions.csv",
    LOG_NAME,
)

_START_S = 60.0
_READ_BYTES = 1 << 16
_PROJECT = Path(__file__).parent.parent.parent


@dataclass(frozen=True)
class Ended:
    """How Locust ended, by itself or at an interrupt."""

    status: int
    interrupted: bool


def run_locust(
    command: Sequence[str],
    directory: Path,
    *,
    token: str = "",
    longest_s: float,
    on_line: Callable[[Mapping[str, Any]], None],
) -> Ended:
    """Run Locust, and give `on_line` each line of JSON that it prints.

    Its log goes into `directory`. The first interrupt ends the users, and Locust reports; a second
    one ends it at once. It is ended too when it takes more than a minute to start its users, or
    more than `longest_s` from then on. The `token` is in its environment. Raises `TrimaranError`
    where it cannot start.
    """
    with (directory / LOG_NAME).open("wb") as log:
        process = Child(
            command, stdout=PIPE, stderr=log, directory=directory, environment=_environment(token)
        )
    interrupts = 0
    lines = _lines(process, longest_s)
    try:
        with sigterm_as_interrupt(repeatedly=True):
            while True:
                try:
                    for line in lines:
                        on_line(line)
                    process.wait()
                    break
                except KeyboardInterrupt:
                    interrupts += 1
                    lines = _lines(process, longest_s, started=True)
                    if interrupts > 1:
                        break
                    process.send(signal.SIGINT)
    finally:
        process.kill()
    return Ended(process.status, interrupts > 0)


def last_error(directory: Path) -> str:
    """The last error in Locust's log, or its last line."""
    lines = (directory / LOG_NAME).read_text(errors="replace").strip().splitlines()
    errors = [line for line in lines if "/ERROR/" in line or "rror: " in line]
    return (errors or lines or ["it logged nothing"])[-1]


def keep_locust_files(directory: Path, out: Path) -> None:
    """Copy Locust's report, tables and log into `out`, in place of those of an earlier run."""
    for name in KEPT:
        (out / name).unlink(missing_ok=True)
        if (directory / name).exists():
            shutil.copyfile(directory / name, out / name)


def _lines(process: Child, longest_s: float, started: bool = False) -> Iterator[Mapping[str, Any]]:
    """What the process prints, until it and its workers have closed their output."""
    deadline = time.monotonic() + (longest_s if started else _START_S)
    rest, output = b"", process.stdout.fileno() if process.stdout else -1
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TrimaranError(
                f"Locust did not {'end' if started else 'start its users'} in time and was ended"
            )
        if not select.select([output], [], [], left)[0]:
            continue
        data = os.read(output, _READ_BYTES)
        if not data:
            return
        *whole, rest = (rest + data).split(b"\n")
        for line in whole:
            with suppress(ValueError):
                found = json.loads(line)
                if "started" in found and not started:
                    started, deadline = True, time.monotonic() + longest_s
                yield found


def _environment(token: str) -> Mapping[str, str]:
    """The user's environment, without Locust's settings for other runs."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LOCUST_")}
    paths = [str(_PROJECT), *filter(None, [kept.get("PYTHONPATH")])]
    own = {TOKEN_VARIABLE: token, "PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1"}
    return {**kept, **own}
