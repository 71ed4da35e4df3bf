"""Deployment and rollback without a failed request, of a release or of a model's version.

Nothing that fails a golden request goes live.
"""

from __future__ import annotations

from dataclasses import dataclass

from trimaran.checks.raising import checked_config
from trimaran.repository.config import is_ensemble
from trimaran.repository.live import LiveRelease, live_release
from trimaran.repository.repository import Repository
from trimaran.rollout.fleet import Fleet
from trimaran.rollout.switch import ReleaseSwitch, VersionSwitch
from trimaran.serving.runtime import Runtime
from trimaran.serving.settling import settle
from trimaran.system.errors import TrimaranError

__all__ = ["Deployment", "deploy", "roll_back"]


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
    fleet: Fleet,
    model: str,
    number: int,
    elsewhere: Runtime | None = None,
) -> Deployment:
    """Make release `number` of an ensemble, or that version of a model, live on running servers.

    `elsewhere` starts a private server in which a model's version is tried; without it, the one
    running server is used, which must then have no clients. Raises `TrimaranError` if the release
    is damaged, or a server does not load it, fails a golden request or does not answer; the live
    one goes on serving then on all servers.
    """
    with repository.deployment_lock():
        concerned = _settled(repository, fleet, model)
        live = live_release(repository.live(model))
        target = live.followed_by(number) if live else LiveRelease(number)
        return _switch(repository, concerned, model, target, elsewhere)


def roll_back(
    repository: Repository,
    fleet: Fleet,
    model: str,
    elsewhere: Runtime | None = None,
) -> Deployment:
    """Go back to the previous live release; arguments and errors are those of `deploy`."""
    with repository.deployment_lock():
        concerned = _settled(repository, fleet, model)
        live = live_release(repository.live(model))
        target = live.rolled_back() if live else None
        if target is None:
            raise TrimaranError(
                f"{model} has no earlier live release to roll back to; name one with "
                "'trimaran deploy --release'"
            )
        return _switch(repository, concerned, model, target, elsewhere)


def _settled(repository: Repository, fleet: Fleet, model: str) -> Fleet:
    """The servers that the deployment of a model concerns, which serve what is live on disk."""
    concerned = fleet.concerned(model)
    for member in concerned.members:
        with member.named():
            for done in settle(repository, member.control):
                fleet.say(member.words(done))
    return concerned


def _switch(
    repository: Repository,
    fleet: Fleet,
    model: str,
    target: LiveRelease,
    elsewhere: Runtime | None,
) -> Deployment:
    if is_ensemble(checked_config(repository, model)):
        golden = ReleaseSwitch(repository, fleet, model).to(target)
        return Deployment(model, target.number, golden, "release")
    golden = VersionSwitch(repository, fleet, model, elsewhere).to(target)
    return Deployment(model, target.number, golden, "version")
