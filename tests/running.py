"""How tests run the command, and a server of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pytest

from serving.client import Client, Protocol
from serving.control import Control
from serving.ports import Ports, free_ports
from trimaran.repository import Repository

T = TypeVar("T")

PROJECT = Path(__file__).parent.parent
MODELS = Path(__file__).parent / "models.py"
TRIMARAN = (sys.executable, "-m", "trimaran.cli")


def wait_for(condition: Callable[[], T], timeout_s: float, what: str) -> T:
    """The first true value of `condition`; fails the test when there is none in time."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            pytest.fail(f"{what} did not happen within {timeout_s} s")
        time.sleep(0.02)


def run_trimaran(
    *arguments: str | Path, cwd: Path = PROJECT, stdin: str | None = None
) -> subprocess.CompletedProcess[str]:
    """The command itself, in a process of its own."""
    return subprocess.run(
        [*TRIMARAN, *map(str, arguments)],
        cwd=cwd,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@dataclass
class Served:
    """A `trimaran serve` process, and what it printed."""

    repository: Repository
    ports: Ports
    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)
    reader: threading.Thread | None = None

    @property
    def control(self) -> Control:
        return Control(self.ports.host, self.ports.http)

    def client(self, protocol: Protocol = "http") -> Client:
        return Client(self.ports, protocol)

    def url(self, path: str) -> str:
        return f"http://{self.ports.host}:{self.ports.http}{path}"

    def said(self, text: str, since: int = 0) -> list[str]:
        """The lines after the first `since` that hold `text`."""
        return [line for line in self.lines[since:] if text in line]

    def stop(self, number: signal.Signals = signal.SIGINT) -> float:
        """End it by a signal; the seconds that took."""
        began = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(30)
        took_s = time.monotonic() - began
        if self.reader is not None:
            self.reader.join()
        if self.process.stdout is not None:
            self.process.stdout.close()
        return took_s


def start_serving(repository: Repository, *arguments: str) -> Served:
    """Start `trimaran serve` on free ports and wait until it says that it is ready."""
    ports = free_ports()
    names = ("http", "grpc", "metrics", "supervisor")
    options = [f"--{name}-port={getattr(ports, name)}" for name in names]
    process = subprocess.Popen(
        [*TRIMARAN, "serve", "--repository", str(repository.root), *options, *arguments],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    served = Served(repository, ports, process)

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            served.lines.append(line.rstrip("\n"))

    served.reader = threading.Thread(target=read, daemon=True)
    served.reader.start()
    wait_for(
        lambda: served.said("ready in") or process.poll() is not None, 120, "trimaran serve's start"
    )
    assert process.poll() is None, "\n".join(served.lines)
    return served
