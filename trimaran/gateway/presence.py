"""The gateway that runs on a repository now, so that monitoring finds it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from trimaran.repository.repository import Repository
from trimaran.system.files import read_regular, write_text
from trimaran.system.processes import start_time, still_runs

__all__ = ["RunningGateway", "announce_gateway", "find_gateway"]

_NAME = "gateway.json"


@dataclass(frozen=True)
class RunningGateway:
    """A `trimaran gateway up`: its process, and where its metrics are."""

    pid: int
    started: str
    metrics_host: str
    metrics_port: int

    @property
    def runs(self) -> bool:
        """Whether its process does; that of a killed one does not."""
        return still_runs(self.pid, self.started)


@contextmanager
def announce_gateway(folder: Path, metrics_host: str, metrics_port: int) -> Iterator[None]:
    """Let other commands find this process's gateway, whose state is in a folder.

    The announcement stays where the gateway did not end as its user wished, so that its absence
    can be told from its end.
    """
    path = folder / _NAME
    pid = os.getpid()
    found = RunningGateway(pid, start_time(pid), metrics_host, metrics_port)
    write_text(path, json.dumps(asdict(found), indent=2) + "\n")
    try:
        yield
    except KeyboardInterrupt:
        path.unlink(missing_ok=True)
        raise


def find_gateway(repository: Repository) -> RunningGateway | None:
    """What a gateway of a repository announced last; it may be one that was killed."""
    try:
        record = json.loads(read_regular(repository.state / "gateway" / _NAME))
        found = RunningGateway(**record)
        return found if 0 < found.metrics_port < 65536 else None
    except (OSError, ValueError, TypeError, RecursionError):
        return None
