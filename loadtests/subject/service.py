"""The server under test: where it listens, what it serves, and whose CPU seconds count."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from google.protobuf import json_format

from loadtests.judging.gates import VOID
from trimaran.repository.config import ModelConfig
from trimaran.repository.presence import running_server
from trimaran.repository.repository import Repository
from trimaran.serving.control import Control
from trimaran.system.errors import TrimaranError
from trimaran.system.ports import Ports

__all__ = ["Service", "find_service", "unusable"]


@dataclass(frozen=True)
class Service:
    """A running server. `pid` is `None` where it is not a process of this machine."""

    ports: Ports
    control: Control
    pid: int | None = None
    repository: Repository | None = None

    def config(self, model: str, version: str = "") -> ModelConfig:
        """The configuration of a model that is ready.

        Raises `TrimaranError` saying what is served instead, or why it is not ready.
        """
        try:
            ready = self.control.metadata(model).get("versions", [])
        except TrimaranError as error:
            raise TrimaranError(self._why_not(model)) from error
        if version and version not in ready:
            raise TrimaranError(
                f"{self._where}: {model} has no ready version {version}; it has {', '.join(ready)}"
            )
        found = ModelConfig()
        json_format.ParseDict(self.control.config(model), found, ignore_unknown_fields=True)
        return found

    @property
    def _where(self) -> str:
        return f"the server at {self.ports.host}:{self.ports.http}"

    def _why_not(self, model: str) -> str:
        """Why a model is not ready, by the server's index of its repository."""
        index = self.control.index()
        mine = [item for item in index if item.name == model]
        if not mine:
            served = sorted({item.name for item in index if item.state == "READY"})
            return f"{self._where} has no model {model!r}; it serves {', '.join(served)}"
        reason = next((item.reason for item in mine if item.reason), "it was not loaded")
        return f"{self._where}: {model} is not ready: {reason}"

    def models(self, model: str) -> Mapping[str, ModelConfig]:
        """The configurations of a model and, for an ensemble, of all its steps, by name."""
        found: dict[str, ModelConfig] = {}
        wanted = [model]
        while wanted:
            name = wanted.pop(0)
            if name not in found:
                found[name] = self.config(name)
                wanted += [step.model_name for step in found[name].ensemble_scheduling.step]
        return found


def find_service(
    root: Path, host: str | None = None, http_port: int | None = None, grpc_port: int | None = None
) -> Service:
    """The server that serves the repository at `root`, or another one at an address.

    Raises `TrimaranError` where none answers.
    """
    found = running_server(root, host, http_port, grpc_port)
    ports = found.ports
    service = Service(ports, Control(ports.host, ports.http), found.pid, found.repository)
    if not service.control.is_live():
        remedy = (
            "stop and start 'trimaran serve'"
            if found.repository
            else "start it, or correct --host and --http-port"
        )
        raise TrimaranError(f"no server answers at {ports.host}:{ports.http}; {remedy}")
    return service


@contextmanager
def unusable() -> Iterator[None]:
    """What cannot be measured at all ends like a void run: with exit status 2."""
    try:
        yield
    except KeyboardInterrupt:
        stopped = TrimaranError("interrupted before anything was measured")
        stopped.exit_status = VOID
        raise stopped from None
    except TrimaranError as error:
        error.exit_status = VOID
        raise
