"""A server for a measurement alone, with what is live in a repository."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from loadtests.subject.service import Service
from trimaran.repository.repository import Repository
from trimaran.rollout.selection import select
from trimaran.serving.runtime import find_runtime
from trimaran.serving.server import private_server
from trimaran.system.errors import TrimaranError

__all__ = ["private_service"]


@contextmanager
def private_service(repository: Repository, models: Sequence[str]) -> Iterator[Service]:
    """A server of these models with their steps, on free ports, for the block.

    Raises `TrimaranError` where the repository is served already, or no release is live.
    """
    selection = select(repository, models)
    if selection.problems:
        name, problem = selection.problems[0]
        raise TrimaranError(f"{name}: {problem}")
    if selection.deploy:
        name, _ = selection.deploy[0]
        raise TrimaranError(
            f"no release of {name} is live; make one live first: 'trimaran deploy {name}'"
        )
    with private_server(find_runtime(), repository, selection.load) as server:
        yield Service(server.ports, server.control, server.process.pid, repository)
