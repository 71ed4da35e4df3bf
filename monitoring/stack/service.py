"""Prometheus and Alertmanager as processes of this one."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import urllib3

from trimaran.system.errors import TrimaranError
from trimaran.system.processes import STDOUT, Child

__all__ = ["Program", "running"]

_START_S = 30.0
_STOP_S = 10.0
_POLL_S = 0.05


class Program:
    """A started program that answers at `url`."""

    def __init__(self, name: str, process: Child, url: str, log: Path) -> None:
        self.name = name
        self.process = process
        self.url = url
        self.log = log

    def require_running(self) -> None:
        """Raise `TrimaranError` with its last line if it has ended."""
        if not self.process.has_ended():
            return
        lines = self.log.read_text(errors="replace").strip().splitlines()
        errors = [line for line in lines if "level=error" in line or "error: " in line]
        words = (errors or lines or ["it logged nothing"])[-1]
        raise TrimaranError(
            f"{self.name} ended with status {self.process.status}: {words}; its log is {self.log}"
        )


@contextmanager
def running(name: str, command: Sequence[str], url: str, log: Path) -> Iterator[Program]:
    """The program from when it answers at `url/-/ready` to the end of the block.

    It ends with this process, even if this process is killed. Raises `TrimaranError` if it ends
    by itself meanwhile, or is not ready in time.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        process = Child(command, stdout=output, stderr=STDOUT)
    program = Program(name, process, url, log)
    try:
        _wait_until_ready(program)
        yield program
    finally:
        process.end(within_s=_STOP_S)


def _wait_until_ready(program: Program) -> None:
    deadline = time.monotonic() + _START_S
    while not _is_ready(program.url):
        program.require_running()
        if time.monotonic() > deadline:
            raise TrimaranError(
                f"{program.name} was not ready after {_START_S:.0f} s; its log is {program.log}"
            )
        time.sleep(_POLL_S)


def _is_ready(url: str) -> bool:
    try:
        response = urllib3.request("GET", f"{url}/-/ready", timeout=1.0, retries=False)
    except urllib3.exceptions.HTTPError:
        return False
    return response.status == 200
