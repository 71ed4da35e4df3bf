"""The real `tritonserver` as the oracle: it loads a repository or refuses it."""

from __future__ import annotations

import os
import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from trimaran.repository.repository import Repository
from trimaran.serving.embedded_config import prepare
from trimaran.serving.runtime import Runtime, find_runtime
from trimaran.serving.server import Server, private_server
from trimaran.system.errors import TrimaranError

__all__ = ["Oracle", "oracle"]

_PATIENCE_S = 10.0
"""How long one load may take before the server is given up and a fresh one is started."""


class Oracle:
    """Two servers, started when they are needed: with and without completion of configurations.

    `trimaran serve` switches completion off where every configuration is complete, and Triton
    refuses other things then.
    """

    def __init__(self, root: Path, runtime: Runtime) -> None:
        self._root = root
        self._runtime = runtime
        self._running: dict[bool, tuple[ExitStack, Server]] = {}
        self.restarts = 0

    def root(self, complete: bool) -> Path:
        """The repository of the server for complete configurations, or of the other one."""
        return self._root / ("complete" if complete else "completed") / "model_repository"

    @property
    def scratch(self) -> Path:
        """Where a repository is written before it is taken to a server."""
        return self._root / "scratch" / "model_repository"

    def take(self, complete: bool, directories: list[str]) -> None:
        """Move model directories from `scratch` to the repository of a server."""
        self._server(complete)
        for name in directories:
            (self.scratch / name).rename(self.root(complete) / name)
        prepare(Repository.open(self.root(complete)), directories)

    def refusal(self, complete: bool, directories: list[str]) -> str | None:
        """Why Triton does not serve one of these model directories, or `None` if it serves all."""
        server = self._server(complete)
        # The stubs hold the server's sockets open, so they have to go with it.
        watchdog = threading.Timer(_PATIENCE_S, os.killpg, (server.process.pid, signal.SIGKILL))
        watchdog.start()
        try:
            return _refusal(server, directories)
        finally:
            watchdog.cancel()
            if not server.is_running():
                self.restarts += 1
                self._stop(complete)

    def forget(self, complete: bool, directories: list[str]) -> None:
        """Unload models and remove their directories."""
        if complete in self._running:
            _, server = self._running[complete]
            for name in directories:
                _unload(server, name)
        for name in directories:
            shutil.rmtree(self.root(complete) / name, ignore_errors=True)
            shutil.rmtree(self.scratch / name, ignore_errors=True)

    def is_running(self, complete: bool) -> bool:
        """Whether a server survived what it was given last."""
        return complete in self._running

    def stop(self) -> None:
        """End both servers."""
        for complete in list(self._running):
            self._stop(complete)

    def _server(self, complete: bool) -> Server:
        if complete not in self._running:
            root = self.root(complete)
            repository = Repository.create(root)
            if not complete:
                _write_incomplete(repository)
            stack = ExitStack()
            server = stack.enter_context(private_server(self._runtime, repository))
            self._running[complete] = stack, server
        return self._running[complete][1]

    def _stop(self, complete: bool) -> None:
        stack, _ = self._running.pop(complete)
        stack.close()


@contextmanager
def oracle(root: Path) -> Iterator[Oracle]:
    """An `Oracle` whose servers end with the block; its repositories lie below `root`."""
    found = Oracle(root, find_runtime())
    try:
        yield found
    finally:
        found.stop()


def _refusal(server: Server, directories: list[str]) -> str | None:
    for name in directories:
        try:
            server.control.load(name)
        except TrimaranError as error:
            if not server.is_running():
                return f"the server ended: {error}"
            return str(error)
        if not server.control.ready_versions(name):
            return f"{name} was loaded, and no version of it is ready"
    return None


def _unload(server: Server, name: str) -> None:
    try:
        server.control.unload(name)
    except TrimaranError:
        return  # It was never loaded.


def _write_incomplete(repository: Repository) -> None:
    """A model that leaves its inputs to Triton, so that this server completes configurations."""
    path = repository.config_path("incomplete")
    path.parent.mkdir(exist_ok=True)
    path.write_text('backend: "python"\n')
