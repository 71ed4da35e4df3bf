"""The servers that serve a repository now, so that other commands find them.

One server has no name, and others have one each. Each has its own state: its announcement, its
secret, its logs, and the record of its process.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from trimaran.repository.repository import Repository
from trimaran.system.endpoint import Endpoint
from trimaran.system.errors import TrimaranError, UsageError
from trimaran.system.files import exclusive_lock, read_regular, shared_lock, write_text
from trimaran.system.ports import Ports
from trimaran.system.processes import start_time, still_runs

__all__ = [
    "Presence",
    "RunningServer",
    "announce",
    "check_server_name",
    "find_server",
    "find_servers",
    "running_server",
    "server_of_name",
    "server_secret",
    "sole_server",
]

_NAME = "server.json"
_SECRET = "server.secret"  # noqa: S105 - the name of its file
_OWNER_ONLY = 0o600
_SERVER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}")


@dataclass(frozen=True)
class Presence:
    """A running `trimaran serve`: its process and its server's ports."""

    pid: int
    started: str
    server_pid: int
    ports: Ports
    name: str = ""
    onnx_backend: str = ""
    """What serves ONNX models: `native` or `python`, or nothing of ours."""

    @property
    def title(self) -> str:
        """What names it among others."""
        return f"server {self.name}" if self.name else f"server on HTTP port {self.ports.http}"

    def __str__(self) -> str:
        """How messages list it."""
        return f"{self.name or 'the server'} on HTTP port {self.ports.http}"

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

    Raises `TrimaranError` where no server runs on the repository, or it is not clear which.
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
    secret = server_secret(repository, found.name)
    return RunningServer(found.endpoint, found.server_pid, repository, secret)


def check_server_name(name: str) -> str:
    """`name`, if a server can have it. Raises `UsageError`."""
    if not _SERVER_NAME.fullmatch(name):
        raise UsageError(
            f"--name {name!r} cannot name a server; use letters, digits, '_' and '-', at most 32, "
            "beginning with a letter or a digit"
        )
    return name


@contextmanager
def server_of_name(repository: Repository, name: str = "") -> Iterator[None]:
    """Held while a repository is served by the server of a name, beside others.

    Raises `TrimaranError` where that server runs already, or a command must be alone.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(shared_lock(_serving(repository), wait=False))
            own = repository.server_state(name) / "server.lock"
            stack.enter_context(exclusive_lock(own, wait=False))
        except BlockingIOError as error:
            found = [each for each in find_servers(repository) if each.name == name]
            beside = "another --name" if name else "--name and --port-offset"
            raise _taken(repository, found, f", or serve beside it with {beside}") from error
        yield


@contextmanager
def sole_server(repository: Repository) -> Iterator[None]:
    """Held while a command serves a repository alone. Raises `TrimaranError` if it is served."""
    with ExitStack() as stack:
        try:
            stack.enter_context(exclusive_lock(_serving(repository), wait=False))
        except BlockingIOError as error:
            raise _taken(repository, find_servers(repository)) from error
        yield


@contextmanager
def announce(
    repository: Repository,
    server_pid: int,
    ports: Ports,
    secret: str = "",
    name: str = "",
    onnx_backend: str = "",
) -> Iterator[None]:
    """Let other commands find this process's server during the block, with its secret."""
    state = repository.server_state(name)
    path, own = state / _NAME, state / _SECRET
    own_pid = os.getpid()
    presence = Presence(own_pid, start_time(own_pid), server_pid, ports, name, onnx_backend)
    write_text(own, secret, _OWNER_ONLY)
    write_text(path, json.dumps(asdict(presence), indent=2) + "\n")
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        own.unlink(missing_ok=True)


def find_servers(repository: Repository) -> list[Presence]:
    """The servers of a repository: the one without a name first, then the others by name.

    What a killed server announced does not count.
    """
    states = [repository.state, *sorted((repository.state / "servers").glob("*"))]
    return [found for state in states if (found := _announced(state)) is not None]


def find_server(repository: Repository) -> Presence | None:
    """The server of a repository that has no name, or else its only one; `None` if it has none.

    Raises `TrimaranError` where several servers run, and all have names.
    """
    found = find_servers(repository)
    if len(found) > 1 and found[0].name:
        raise TrimaranError(
            f"{repository.root} is served by {_listed(found)}; name one with --http-port and "
            "--grpc-port"
        )
    return found[0] if found else None


def server_secret(repository: Repository, name: str = "") -> str:
    """What opens the APIs that change the running server; empty for a user who may not read it."""
    try:
        return read_regular(repository.server_state(name) / _SECRET).decode("ascii")
    except (OSError, UnicodeDecodeError):
        return ""


def _serving(repository: Repository) -> Path:
    """The lock that all servers of a repository share."""
    return repository.state / "serving.lock"


def _announced(state: Path) -> Presence | None:
    try:
        record = json.loads(read_regular(state / _NAME))
        found = Presence(**{**record, "ports": Ports(**record["ports"])})
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    alive = still_runs(found.pid, found.started)
    return found if alive and start_time(found.server_pid) else None


def _taken(repository: Repository, found: Sequence[Presence], other: str = "") -> TrimaranError:
    if not found:
        problem = "has another command starting a server on it; try again when it is done"
    elif len(found) == 1:
        problem = (
            f"is already served by process {found[0].pid} on HTTP port {found[0].ports.http}; "
            f"stop that server first{other}"
        )
    else:
        problem = f"is already served by {_listed(found)}; stop these servers first"
    return TrimaranError(f"{repository.root} {problem}")


def _listed(found: Sequence[Presence]) -> str:
    *first, last = map(str, found)
    return f"{', '.join(first)} and {last}"
