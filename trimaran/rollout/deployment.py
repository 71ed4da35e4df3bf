"""Deployment and rollback without a failed request, of a release or of a model's version.

Nothing that fails a golden request goes live.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from trimaran.checks.raising import checked_config
from trimaran.repository.config import is_ensemble
from trimaran.repository.live import LiveRelease, live_release
from trimaran.repository.repository import Repository
from trimaran.rollout.switch import ReleaseSwitch, VersionSwitch
from trimaran.serving.client import Client
from trimaran.serving.control import Control
from trimaran.serving.runtime import Runtime
from trimaran.serving.settling import settle
from trimaran.system.errors import TrimaranError

__all__ = ["Deployment", "deploy", "roll_back"]

Say = Callable[[str], None]


@dataclass(frozen=True)
class Deployment:
    """The new live release or version, and how many golden requests it answered before."""

    model: str
    release: int
    """An ensemble's release, or another model's version."""
    golden: int
    kind: str
    """`release` or `version`."""

    def __str__(self) -> str:
        what = f"{self.kind} {self.release} is live"
        if not self.golden:
            return f"{what}, untested: there are no golden requests"
        return f"{what}, golden requests answered: {self.golden}"


def deploy(
    repository: Repository,
    control: Control,
    client: Client,
    model: str,
    number: int,
    say: Say,
    elsewhere: Runtime | None = None,
) -> Deployment:
    """Make release `number` of an ensemble, or that version of a model, live on a running server.

    `say` is called with each step. `elsewhere` starts a private server in which a model's version
    is tried; without it, the running server is used, which must then have no clients. Raises
    `TrimaranError` if the release is damaged, does not load, or fails a golden request; the live
    one goes on serving then.
    """
    with repository.deployment_lock():
        _settle(repository, control, say)
        live = live_release(repository.live(model))
        target = live.followed_by(number) if live else LiveRelease(number)
        return _switch(repository, control, client, model, target, say, elsewhere)


def roll_back(
    repository: Repository,
    control: Control,
    client: Client,
    model: str,
    say: Say,
    elsewhere: Runtime | None = None,
) -> Deployment:
    """Go back to the previous live release; arguments and errors are those of `deploy`."""
    with repository.deployment_lock():
        _settle(repository, control, say)
        live = live_release(repository.live(model))
        target = live.rolled_back() if live else None
        if target is None:
            raise TrimaranError(
                f"{model} has no earlier live release to roll back to; name one with "
                "'trimaran deploy --release'"
            )
        return _switch(repository, control, client, model, target, say, elsewhere)


def _settle(repository: Repository, control: Control, say: Say) -> None:
    for done in settle(repository, control):
        say(done)


def _switch(
    repository: Repository,
    control: Control,
    client: Client,
    model: str,
    target: LiveRelease,
    say: Say,
    elsewhere: Runtime | None,
) -> Deployment:
    if is_ensemble(checked_config(repository, model)):
        golden = ReleaseSwitch(repository, control, client, model, say).to(target)
        return Deployment(model, target.number, golden, "release")
    golden = VersionSwitch(repository, control, client, model, elsewhere, say).to(target)
    return Deployment(model, target.number, golden, "version")
