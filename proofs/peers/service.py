"""A peer as a running service, which leaves no process."""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import urllib3

from loadtests.generator.http1 import Http1, http_request
from loadtests.generator.traffic import Traffic
from proofs.jobs.job import JOB_VARIABLE, JobFiles
from proofs.peers.catalogue import Form, Peer, Start
from proofs.peers.environments import python_of
from proofs.peers.setting import READY_VARIABLE, SETTING_VARIABLE, Setting
from trimaran.system.errors import TrimaranError
from trimaran.system.ports import free_ports
from trimaran.system.processes import ALLOCATOR, STDOUT, Child, children

__all__ = ["PeerService", "serve_peer"]

_START_S = 120.0
_STOP_S = 30.0
_POLL_S = 0.05
_ROOT = Path(__file__).parents[2]
_LOG_LINES = 5


@dataclass(frozen=True)
class PeerService:
    """Where a peer listens, and how its requests are written.

    Everything that the peer started is below the process `pid`, so CPU seconds are counted there.
    """

    peer: Peer
    job: str
    setting: Setting
    host: str
    port: int
    form: Form
    pid: int

    @property
    def headers(self) -> dict[str, str]:
        """What a request needs in addition to its length."""
        return {"Content-Type": self.form.content_type}

    @property
    def url(self) -> str:
        """Where to post."""
        return f"http://{self.host}:{self.port}{self.form.path}"

    def traffic(self, inputs: Sequence[bytes]) -> Traffic:
        """For the load generator, from photographs' files or records' JSON."""
        host = f"{self.host}:{self.port}"
        requests = [
            http_request(host, self.form.path, self.form.body(data), self.headers)
            for data in inputs
        ]
        return Traffic((self.host, self.port), Http1, requests)

    def processes(self) -> set[int]:
        """All processes of the peer now."""
        found: set[int] = set()
        wanted = {self.pid}
        while wanted:
            pid = wanted.pop()
            found.add(pid)
            wanted |= children(pid) - found
        return found

    @contextmanager
    def resting(self) -> Iterator[None]:
        """Stop the peer during the block: some use half a core while nobody asks.

        Its keeper goes on, and so ends everything when this process ends.
        """
        stopped = self.processes() - {self.pid}
        try:
            for pid in sorted(stopped):
                _signal(pid, signal.SIGSTOP)
            yield
        finally:
            # The youngest first, so that no parent misses a sign of life from its child.
            for pid in sorted(stopped, reverse=True):
                _signal(pid, signal.SIGCONT)

    def ask(self, data: bytes) -> Any:
        """The job's answer to one input. Raises `TrimaranError` with the refusal."""
        try:
            found = urllib3.request(
                "POST",
                self.url,
                body=self.form.body(data),
                headers=self.headers,
                retries=False,
                timeout=30.0,
            )
        except urllib3.exceptions.HTTPError as error:
            raise TrimaranError(f"{self.peer.title} does not answer: {error}") from error
        if found.status != 200:
            said = found.data.decode(errors="replace")[:500]
            raise TrimaranError(f"{self.peer.title} answered {found.status}: {said}")
        return self.form.answer(json.loads(found.data))


@contextmanager
def serve_peer(
    peer: Peer,
    files: JobFiles,
    example: bytes,
    setting: Setting | None = None,
    python: Path | None = None,
) -> Iterator[PeerService]:
    """A peer with a job, on a free loopback port, until the end of the block.

    It is ready when every worker has its job open and `example`, a photograph's file or a record's
    JSON, was answered. By default it has the best `setting` for the job, and the `python` of its
    own environment. Raises `TrimaranError` where that is missing, or the
    peer does not start.
    """
    python = python or python_of(peer)
    setting = setting or peer.settings[files.job]
    ports = free_ports()
    with tempfile.TemporaryDirectory(prefix="peer-", ignore_cleanup_errors=True) as directory:
        scratch = Path(directory)
        ready, log = scratch / "ready", scratch / "log"
        ready.mkdir()
        (scratch / "tmp").mkdir()
        start = Start(python, (ports.http, ports.grpc, ports.metrics), scratch, files.job, setting)
        with log.open("wb") as output:
            process = Child(
                [sys.executable, "-m", "proofs.peers.keeper", *peer.command(start)],
                stdout=output,
                stderr=STDOUT,
                directory=scratch,
                environment=_environment(peer, files, start),
            )
        form = peer.form(files.job, setting)
        service = PeerService(peer, files.job, setting, ports.host, ports.http, form, process.pid)
        try:
            _wait_until_ready(service, process, ready, log, example)
            yield service
        finally:
            process.end(within_s=_STOP_S)


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _environment(peer: Peer, files: JobFiles, start: Start) -> dict[str, str]:
    ours = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    return {
        **ALLOCATOR,
        **ours,
        **peer.variables(start),
        "PATH": f"{start.python.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "PYTHONPATH": str(_ROOT),
        "PYTHONUNBUFFERED": "1",
        "TMPDIR": str(start.scratch / "tmp"),
        JOB_VARIABLE: files.to_json(),
        SETTING_VARIABLE: start.setting.to_json(),
        READY_VARIABLE: str(start.scratch / "ready"),
    }


def _wait_until_ready(
    service: PeerService, process: Child, ready: Path, log: Path, example: bytes
) -> None:
    deadline = time.monotonic() + _START_S
    wanted = max(service.setting.workers, 1)
    why = "not all workers opened their job"
    while True:
        if len(list(ready.iterdir())) >= wanted:
            try:
                service.ask(example)
                return
            except TrimaranError as error:
                why = str(error)
        if process.has_ended():
            raise TrimaranError(f"{service.peer.title} did not start: {_last_words(log)}")
        if time.monotonic() > deadline:
            raise TrimaranError(
                f"{service.peer.title} was not ready after {_START_S:.0f} s ({why}); it said: "
                f"{_last_words(log)}"
            )
        time.sleep(_POLL_S)


def _last_words(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return " | ".join(line.strip() for line in lines[-_LOG_LINES:]) or "it said nothing"
