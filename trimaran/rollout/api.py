"""What `import trimaran` offers to change what is live."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from trimaran.checks.raising import checked_config
from trimaran.repository.config import is_ensemble
from trimaran.repository.presence import find_servers, server_secret
from trimaran.repository.repository import DEFAULT_PLACE, Place, Repository, opened_at
from trimaran.rollout.deployment import Deployment, roll_back
from trimaran.rollout.deployment import deploy as deploy_release
from trimaran.rollout.fleet import Fleet, Member
from trimaran.rollout.switch import require_no_step
from trimaran.serving.client import Client
from trimaran.serving.control import Control
from trimaran.serving.runtime import Runtime, find_runtime
from trimaran.serving.server import LOG, private_server
from trimaran.system.errors import TrimaranError

__all__ = ["deploy", "rollback"]

Progress = Callable[[str], None]

_SILENCE_S = 10.0
"""A server that answers nothing for that long does not take part in a deployment."""


def deploy(
    model: str,
    release: int | None = None,
    repository: Place = DEFAULT_PLACE,
    *,
    tritonserver: Path | None = None,
    progress: Progress = lambda step: None,
) -> Deployment:
    """Make an ensemble's release, or another model's version, live: now or at the next start.

    `release` is the newest by default. All servers that run on the repository switch, one after the
    other. Where none runs, the release is tried in a private one, by `tritonserver` if that is
    given. `progress` is called with each step, in words. Raises `TrimaranError` if the release is
    damaged, or a server does not load it, fails a golden request or does not answer; what was live
    stays live then on all servers.
    """
    opened = opened_at(repository)
    ensemble = is_ensemble(checked_config(opened, model))
    if not ensemble:
        require_no_step(opened, model)
    newest = opened.newest(model)
    if newest is None:
        raise TrimaranError(
            f"{model} has no release; make one with 'trimaran release {model}'"
            if ensemble
            else f"{model} has no version; publish one with 'trimaran export' or 'trimaran publish'"
        )
    number = newest.number if release is None else opened.version(model, release).number
    with _running_or_private(opened, tritonserver, progress) as (fleet, elsewhere):
        return deploy_release(opened, fleet, model, number, elsewhere)


def rollback(
    model: str,
    repository: Place = DEFAULT_PLACE,
    *,
    tritonserver: Path | None = None,
    progress: Progress = lambda step: None,
) -> Deployment:
    """Make the release or version that was live before live again.

    Arguments and errors are those of `deploy`.
    """
    opened = opened_at(repository)
    if not is_ensemble(checked_config(opened, model)):
        require_no_step(opened, model)
    with _running_or_private(opened, tritonserver, progress) as (fleet, elsewhere):
        return roll_back(opened, fleet, model, elsewhere)


@contextmanager
def _running_or_private(
    repository: Repository, tritonserver: Path | None, progress: Progress
) -> Iterator[tuple[Fleet, Runtime | None]]:
    """The repository's running servers, or a private one for the time of the block.

    So a release is tried in a real server before it goes live even while nothing is served. With
    running servers comes the runtime to start another one with, for what must not be tried in them.
    """
    found = find_servers(repository)
    if found:
        with ExitStack() as stack:
            members = [
                Member(
                    Control(
                        presence.endpoint,
                        server_secret(repository, presence.name),
                        log=repository.server_state(presence.name) / LOG,
                        silence_s=_SILENCE_S,
                    ),
                    stack.enter_context(Client(presence.endpoint)),
                    presence.title if len(found) > 1 else "",
                )
                for presence in found
            ]
            yield Fleet(members, progress), find_runtime(tritonserver)
        return
    progress("no server runs on this repository; trying the release in a private one")
    with (
        private_server(find_runtime(tritonserver), repository) as server,
        Client(server.endpoint) as client,
    ):
        yield Fleet.of_one(server.control, client, progress), None
