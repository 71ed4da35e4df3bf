"""How tests run the command, and a server of it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar, TypeVar

import numpy as np
import pytest
import urllib3

from trimaran.repository.presence import server_secret
from trimaran.repository.repository import Repository
from trimaran.serving.client import Client, Protocol
from trimaran.serving.control import Control
from trimaran.system.endpoint import Endpoint
from trimaran.system.errors import TrimaranError
from trimaran.system.ports import Ports, free_ports

T = TypeVar("T")

PROJECT = Path(__file__).parent.parent
MODELS = Path(__file__).parent / "models.py"
TRIMARAN = (sys.executable, "-m", "trimaran")

READY = " s: HTTP "
"""What `trimaran serve` prints once it has tried to load every model, and in no error."""

_END_TIMEOUT_S = 30.0


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


def kill_once(command: Sequence[str], folder: Path, when: Callable[[], object]) -> None:
    """Start a command, and kill it as soon as something holds; fails if it ended before."""
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
    try:
        wait_for(lambda: when() or process.poll() is not None, 200, "what the command does")
    finally:
        process.kill()
        status = process.wait()
    assert status == -signal.SIGKILL


@contextmanager
def repeating(*asks: Callable[[threading.Event], None]) -> Iterator[None]:
    """Call each in a thread of its own during the block; the event it gets says when to end."""
    over = threading.Event()
    threads = [threading.Thread(target=ask, args=(over,)) for ask in asks]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


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


class Running:
    """A command in a process of its own that runs until it is interrupted, and what it printed."""

    started: ClassVar[list[Running]] = []

    def __init__(self, *arguments: str | Path) -> None:
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [*TRIMARAN, *map(str, arguments)],
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONFAULTHANDLER": "1"},
        )
        self.started.append(self)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def said(self, text: str, since: int = 0) -> list[str]:
        """The lines after the first `since` that hold `text`."""
        return [line for line in self.lines[since:] if text in line]

    def until_said(self, text: str, timeout_s: float) -> None:
        """Wait until it has printed `text`; fails the test if it ends before."""
        wait_for(lambda: self.said(text) or self.process.poll() is not None, timeout_s, text)
        assert self.process.poll() is None, "\n".join(self.lines)

    def stop(self, number: signal.Signals = signal.SIGINT) -> None:
        """End it by a signal. One that ended already is only read out."""
        self.process.send_signal(number)
        try:
            self.process.wait(_END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            # Makes Python print what each thread does.
            self.process.send_signal(signal.SIGABRT)
            self._reader.join(_END_TIMEOUT_S)
            pytest.fail(f"no end within {_END_TIMEOUT_S} s:\n" + "\n".join(self.lines))
        self._reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))


def port_options(ports: Ports) -> list[str]:
    """What has `trimaran serve` listen there."""
    names = ("http", "grpc", "metrics", "supervisor")
    return [f"--{name}-port={getattr(ports, name)}" for name in names]


def serve_to_the_end(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`trimaran serve` on free ports, where it is refused; ports that are named come last."""
    ports = port_options(free_ports())
    return run_trimaran("serve", "--repository", root, *ports, *arguments)


class Served(Running):
    """A `trimaran serve` process on free ports."""

    def __init__(self, repository: Repository, *arguments: str, name: str = "") -> None:
        self.repository = repository
        self.name = name
        self.ports = free_ports()
        options = [*port_options(self.ports), f"--name={name}"]
        super().__init__("serve", "--repository", repository.root, *options, *arguments)

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint.of(self.ports)

    @property
    def control(self) -> Control:
        return Control(self.endpoint, server_secret(self.repository, self.name))

    def client(self, protocol: Protocol = "http") -> Client:
        return Client(self.endpoint, protocol)

    def refusal(self, model: str, inputs: Mapping[str, np.ndarray]) -> str:
        """In which words a request is refused; empty if it is answered."""
        with self.client() as client:
            try:
                client.infer(model, inputs)
            except TrimaranError as error:
                return str(error)
        return ""

    def samples(self, metric: str) -> dict[tuple[str, ...], float]:
        """A metric of the supervisor by the values of its labels, in the order of their names."""
        address = f"http://{self.ports.host}:{self.ports.supervisor}/metrics"
        text = urllib3.request("GET", address).data.decode()
        found = re.findall(rf"^{metric}{{(.*)}} (\S+)$", text, re.M)
        return {tuple(re.findall(r'"(.*?)"', labels)): float(number) for labels, number in found}

    def url(self, path: str) -> str:
        return f"http://{self.ports.host}:{self.ports.http}{path}"


def start_serving(repository: Repository, *arguments: str, name: str = "") -> Served:
    """Start `trimaran serve` on free ports and wait until it says that it is ready."""
    served = Served(repository, *arguments, name=name)
    served.until_said(READY, 120)
    return served


def asked(served: Served) -> tuple[int, str]:
    """The status and the text of a server's `GET /ready`."""
    address = f"http://{served.ports.host}:{served.ports.supervisor}/ready"
    found = urllib3.request("GET", address, retries=False, timeout=5)
    return found.status, found.data.decode()
