"""Switching to another release or version without a failed request, on one server or several.

A release of an ensemble (`ReleaseSwitch`):

1. Every step also serves the versions that the release pins, on every server.
2. The release is loaded under another name and must answer the golden requests, on every server.
3. The ensemble's live configuration is renamed into place and loaded: one flip on each server.
4. Steps drop the versions that neither the new nor the previous release pins.

Until step 3 the live release is untouched; a failure before it restores everything on all servers.
A server that fails in step 3 has the live configuration taken back, and loaded again, on all. The
servers share the files, and each set of files that a server may find as it starts works: before
the flip they say the old release, and after it the new one, whose steps are live since step 1 and
which every server has tried in step 2.

A version of a model that is not an ensemble (`VersionSwitch`):

1. The version is loaded in a private server and must answer the golden requests. In a live server
   it cannot be tried, because the highest version number gets the requests.
2. The model's live configuration is renamed into place and loaded: one flip on each server.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from trimaran.checks.raising import checked_config, sound_ensembles
from trimaran.publishing.releases import Release, read_release, step_models, verify_release
from trimaran.repository.config import ModelConfig, format_config
from trimaran.repository.live import (
    LiveRelease,
    live_release,
    live_versions,
    needed_versions,
    render_candidate,
    render_deployed,
    render_step,
)
from trimaran.repository.repository import Repository
from trimaran.rollout.fleet import Fleet, Member
from trimaran.serving.client import Client
from trimaran.serving.control import Control
from trimaran.serving.embedded_config import remove_live, write_live
from trimaran.serving.golden import check_golden, read_golden
from trimaran.serving.runtime import Runtime
from trimaran.serving.server import private_server
from trimaran.serving.settling import CANDIDATE
from trimaran.system.errors import TrimaranError

__all__ = ["ReleaseSwitch", "VersionSwitch", "flip", "require_no_step"]


def flip(repository: Repository, fleet: Fleet, live: ModelConfig, what: str) -> None:
    """Make `live` the live configuration of the model that it names, and load it everywhere.

    Triton serves the old version until the new one is ready. `what` is said for each server. Raises
    `TrimaranError` if one does not load it; the old configuration is restored then on all, as it is
    after any other failure.
    """
    with repository.live_lock(live.name):
        before = repository.live(live.name)
        served = fleet.serving(live.name)
        write_live(repository, live)
        try:
            fleet.each(what, lambda member: member.control.load(live.name))
        except BaseException:
            _put_back(repository, live.name, before)
            fleet.load_again(live.name, served)
            raise


def _put_back(repository: Repository, model: str, before: ModelConfig | None) -> None:
    """Make `before` the live configuration of a model, or let it have none."""
    if before is None:
        remove_live(repository, model)
    else:
        write_live(repository, before)


@dataclass(frozen=True)
class ReleaseSwitch:
    """One ensemble on every server of a fleet."""

    repository: Repository
    fleet: Fleet
    ensemble: str

    def to(self, target: LiveRelease) -> int:
        """Make `target` live; returns how many golden requests it answered before.

        Raises `TrimaranError` if the release is damaged, or a server does not load it, fails a
        golden request or does not answer; the live release goes on serving then on all servers.
        """
        _require_undamaged(self.repository, self.ensemble, target.number, "release")
        release = read_release(self.repository, self.ensemble, target.number)
        verify_release(self.repository, release)
        self.fleet.say(f"loading the steps of release {target.number}")
        before = {name: self.repository.live(name) for name in release.pins}
        served = {name: self.fleet.serving(name) for name in release.pins}
        replaced = live_release(self.repository.live(self.ensemble))
        live = render_deployed(release.config(self.ensemble), target, release.pins)
        with _not_deployed(f"{self.ensemble} release {target.number}"):
            try:
                for model, version in release.pins.items():
                    self._serve_also(release, model, version)
                golden = self._try_candidate(release)
            except BaseException:
                self._restore_steps(before, served)
                raise
            # Steps keep the release after a failure: requests that it began may not have ended.
            flip(self.repository, self.fleet, live, f"switching to release {target.number}")
        self._shrink(release, target, replaced)
        return golden

    def _serve_also(self, release: Release, model: str, version: int) -> None:
        live = self.repository.live(model)
        versions = {*live_versions(live), version}
        self._set_step(release.config(model), model, versions, f"loading {model} {version}")

    def _set_step(self, config: ModelConfig, model: str, versions: set[int], what: str) -> None:
        """Write and load a step's live configuration, but not where a server serves just that."""
        live = self.repository.live(model)
        wanted = render_step(config, versions)
        written = live is not None and format_config(live) == format_config(wanted)
        served = self.fleet.versions(model)
        members = [each for each, has in served.items() if not written or has != versions]
        if not members:
            return

        def load(member: Member) -> None:
            member.control.load(model)
            missing = versions - member.control.ready_versions(model)
            if missing:
                raise TrimaranError(f"{model} version {min(missing)} did not become ready")

        with self.repository.live_lock(model):
            write_live(self.repository, wanted)
            self.fleet.each(what, load, members)

    def _restore_steps(
        self, before: Mapping[str, ModelConfig | None], served: Mapping[str, Collection[Member]]
    ) -> None:
        for model, config in before.items():
            with self.repository.live_lock(model):
                live = self.repository.live(model)
                if (live and format_config(live)) != (config and format_config(config)):
                    _put_back(self.repository, model, config)
                    self.fleet.load_again(model, served[model])

    def _try_candidate(self, release: Release) -> int:
        name = f"{self.ensemble}{CANDIDATE}"
        if name in self.repository.names():
            raise TrimaranError(
                f"the repository has a model {name!r}, under which a release is tried; "
                "rename that model"
            )
        config = release.config(self.ensemble)
        candidate = render_candidate(config, release.pins, name)
        requests = read_golden(self.repository, config)

        def check(member: Member) -> None:
            member.control.load_given(candidate, {"1/release.json": b"{}"})
            try:
                check_golden(member.client, name, requests)
            finally:
                # A failure here must not hide why the candidate was refused.
                with suppress(TrimaranError):
                    member.control.unload(name)

        self.fleet.each("sending the golden requests to the candidate", check)
        return len(requests)

    def _shrink(self, release: Release, target: LiveRelease, replaced: LiveRelease | None) -> None:
        """Drop step versions that are no longer needed.

        The replaced release's versions stay until the next deployment: its last requests may not
        have reached their last step, and a rollback is fast.
        """
        kept = {self.ensemble: {target.number} | ({replaced.number} if replaced else set())}
        for name in sound_ensembles(self.repository):
            live = live_release(self.repository.live(name))
            if live is not None and name != self.ensemble:
                kept[name] = {live.number, *live.history[-1:]}
        pins = [release.pins]
        for name, numbers in kept.items():
            complete = {v.number for v in self.repository.versions(name) if not v.problem}
            pins += [read_release(self.repository, name, n).pins for n in numbers & complete]
        for model in sorted(release.pins):
            live_config = self.repository.live(model)
            keep = set(needed_versions(model, pins))
            if live_config is not None and not set(live_versions(live_config)) <= keep:
                versions = keep & set(live_versions(live_config))
                try:
                    self._set_step(
                        live_config, model, versions, f"dropping old versions of {model}"
                    )
                except TrimaranError as error:  # the release is live
                    self.fleet.say(f"old versions of {model} are dropped later: {error}")


@dataclass(frozen=True)
class VersionSwitch:
    """One model on every server of a fleet.

    `elsewhere` starts the private server in which the version is tried. It is `None` if the fleet
    is one server that is private itself.
    """

    repository: Repository
    fleet: Fleet
    model: str
    elsewhere: Runtime | None

    def to(self, target: LiveRelease) -> int:
        """Make `target` live; returns how many golden requests it answered before.

        Raises `TrimaranError` if the version is damaged, does not load, fails a golden request, or
        a server does not answer; the live one goes on serving then on all servers.
        """
        require_no_step(self.repository, self.model)
        _require_undamaged(self.repository, self.model, target.number, "version")
        live = render_deployed(checked_config(self.repository, self.model), target)
        self.fleet.say(f"sending the golden requests to version {target.number}")
        with _not_deployed(f"{self.model} version {target.number}"):
            golden = self._try(live)
            flip(self.repository, self.fleet, live, f"switching to version {target.number}")
        return golden

    def _try(self, live: ModelConfig) -> int:
        requests = read_golden(self.repository, live)
        with self._private_server() as (control, client):
            control.load_given(live)
            check_golden(client, self.model, requests)
        return len(requests)

    @contextmanager
    def _private_server(self) -> Iterator[tuple[Control, Client]]:
        if self.elsewhere is None:
            (own,) = self.fleet.members
            yield own.control, own.client
            return
        with (
            private_server(self.elsewhere, self.repository, alongside=True) as server,
            Client(server.endpoint) as client,
        ):
            yield server.control, client


@contextmanager
def _not_deployed(what: str) -> Iterator[None]:
    """Have an error say what was not deployed."""
    try:
        yield
    except TrimaranError as error:
        raise type(error)(f"{what} was not deployed: {error}") from error


def _require_undamaged(repository: Repository, model: str, number: int, kind: str) -> None:
    """Raise `TrimaranError` where a file is not the one that was published."""
    version = repository.version(model, number)
    damage = version.manifest and version.manifest.damage(version.path, hashes=True)
    if damage:
        raise TrimaranError(f"{model} {kind} {number} cannot be served: {damage}")


def require_no_step(repository: Repository, model: str) -> None:
    """Raise `TrimaranError` for a step: the ensemble's releases decide which version is live."""
    for ensemble in sound_ensembles(repository):
        if model in step_models(checked_config(repository, ensemble)):
            raise TrimaranError(
                f"{model} is a step of {ensemble}, whose releases pin its version; deploy "
                f"{ensemble} instead"
            )
