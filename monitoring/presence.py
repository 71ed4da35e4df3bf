"""The Prometheus that monitors a repository: `trimaran monitor up` announces it, others find it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from trimaran.repository.repository import Repository
from trimaran.system.errors import TrimaranError, UsageError
from trimaran.system.files import exclusive_lock, write_text
from trimaran.system.processes import start_time, still_runs

__all__ = [
    "PrometheusUrl",
    "Watching",
    "announce_watch",
    "find_prometheus",
    "find_watch",
    "sole_watch",
]

_NAME = "monitor.json"

PrometheusUrl = Annotated[
    str | None,
    typer.Option(
        metavar="URL", help="Address of a Prometheus other than that of 'trimaran monitor up'."
    ),
]


@dataclass(frozen=True)
class Watching:
    """A running `trimaran monitor up`."""

    pid: int
    started: str
    prometheus: str
    """Its URL."""
    alertmanager: str | None


@contextmanager
def sole_watch(repository: Repository) -> Iterator[None]:
    """The lock on monitoring a repository. Raises `TrimaranError` if another process has it."""
    with ExitStack() as stack:
        try:
            stack.enter_context(exclusive_lock(repository.state / "monitor.lock", wait=False))
        except BlockingIOError as error:
            found = find_watch(repository)
            where = f" at {found.prometheus} by process {found.pid}" if found else ""
            raise TrimaranError(f"{repository.root} is already monitored{where}") from error
        yield


@contextmanager
def announce_watch(
    repository: Repository, prometheus: str, alertmanager: str | None
) -> Iterator[None]:
    """Let other commands find this process's Prometheus during the block."""
    path = repository.state / _NAME
    watching = Watching(os.getpid(), start_time(os.getpid()), prometheus, alertmanager)
    write_text(path, json.dumps(asdict(watching), indent=2) + "\n")
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def find_watch(repository: Repository) -> Watching | None:
    """The process that monitors a repository, or None; that of a killed one does not count."""
    try:
        found = Watching(**json.loads((repository.state / _NAME).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return found if still_runs(found.pid, found.started) else None


def find_prometheus(repository: Path, url: str | None) -> str:
    """The URL of the named Prometheus, or of the one that monitors the repository.

    Raises `TrimaranError` if there is none, and `UsageError` for an invalid URL.
    """
    if url is not None:
        if not url.startswith(("http://", "https://")):
            raise UsageError(
                f"--prometheus is {url!r}; expected a URL such as http://127.0.0.1:9090"
            )
        return url
    watching = find_watch(Repository.open(repository))
    if watching is None:
        raise TrimaranError(
            f"no Prometheus monitors {repository}; start 'trimaran monitor up', or name one with "
            "--prometheus"
        )
    return watching.prometheus
