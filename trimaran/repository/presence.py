"""The server that serves a repository now, so that other commands find it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from trimaran.repository.repository import Repository
from trimaran.system.endpoint import Endpoint
from trimaran.system.errors import TrimaranError
from trimaran.system.files import exclusive_lock, read_regular, write_text
from trimaran.system.ports import Ports
from trimaran.system.processes import start_time

__all__ = [
    "Presence",
    "RunningServer",
    "announce",
    "find_server",
    "running_server",
    "server_secret",
    "sole_server",
]

_NAME = "server.json"
_SECRET = "server.secret"  # noqa: S105 - the name of its file
_OWNER_ONLY = 0o600


@dataclass(frozen=True)
class Presence:
    """A running `trimaran serve`: its process and its server's ports."""

    pid: int
    started: str
    server_pid: int
    ports: Ports

    @property
    def endpoint(self) -> Endpoint:
        """Where clients on this machine send to."""
        return Endpoint.of(self.ports)


@dataclass(frozen=True)
class RunningServer:
    """Where to send requests. `pid` and `repository` are `None` for a server at an address.

    `secret` opens the APIs that change it; it is empty for a server at an address.
    """

    endpoint: Endpoint
    pid: int | None = None
    repository: Repository | None = None
    secret: str = field(default="", repr=False)


def running_server(root: Path, given: Endpoint | None = None) -> RunningServer:
    """The server at a given address, or else that of the repository.

    Raises `TrimaranError` where no server runs on the repository.
    """
    if given is not None:
        return RunningServer(given)
    repository = Repository.open(root)
    found = find_server(repository)
    if found is None:
        raise TrimaranError(
            f"no server runs on {repository.root}; start one with 'trimaran serve', or name it "
            "with --host or --url"
        )
    return RunningServer(found.endpoint, found.server_pid, repository, server_secret(repository))


@contextmanager
def sole_server(repository: Repository) -> Iterator[None]:
    """Held while a repository is served. Raises `TrimaranError` if it already is."""
    with ExitStack() as stack:
        try:
            stack.enter_context(exclusive_lock(repository.state / "server.lock", wait=False))
        except BlockingIOError as error:
            found = find_server(repository)
            problem = (
                f"is already served by process {found.pid} on HTTP port {found.ports.http}; stop "
                "that server first"
                if found
                else "has another command starting a server on it; try again when it is done"
            )
            raise TrimaranError(f"{repository.root} {problem}") from error
        yield


@contextmanager
def announce(
    repository: Repository, server_pid: int, ports: Ports, secret: str = ""
) -> Iterator[None]:
    """Let other commands find this process's server during the block, with its secret."""
    path, own = repository.state / _NAME, repository.state / _SECRET
    presence = Presence(os.getpid(), start_time(os.getpid()), server_pid, ports)
    write_text(own, secret, _OWNER_ONLY)
    write_text(path, json.dumps(asdict(presence), indent=2) + "\n")
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        own.unlink(missing_ok=True)


def find_server(repository: Repository) -> Presence | None:
    """The server of a repository, or `None`; what a killed server announced does not count."""
    try:
        record = json.loads(read_regular(repository.state / _NAME))
        found = Presence(**{**record, "ports": Ports(**record["ports"])})
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    alive = found.started and start_time(found.pid) == found.started
    return found if alive and start_time(found.server_pid) else None


def server_secret(repository: Repository) -> str:
    """What opens the APIs that change the running server; empty for a user who may not read it."""
    try:
        return read_regular(repository.state / _SECRET).decode("ascii")
    except (OSError, UnicodeDecodeError):
        return ""
