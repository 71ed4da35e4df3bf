"""Switching to another release or version without a failed request.

A release of an ensemble (`ReleaseSwitch`):

1. Every step also serves the versions that the release pins.
2. The release is loaded under another name and must answer the golden requests.
3. The ensemble's live configuration is renamed into place and loaded: one flip.
4. Steps drop the versions that neither the new nor the previous release pins.

Until step 3 the live release is untouched; a failure before it restores everything.

A version of a model that is not an ensemble (`VersionSwitch`):

1. The version is loaded in a private server and must answer the golden requests. In the live server
   it cannot be tried, because the highest version number gets the requests.
2. The model's live configuration is renamed into place and loaded: one flip.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
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
from trimaran.serving.client import Client
from trimaran.serving.control import Control, LoadTimeoutError
from trimaran.serving.embedded_config import remove_live, write_live
from trimaran.serving.golden import check_golden, read_golden
from trimaran.serving.runtime import Runtime
from trimaran.serving.server import private_server
from trimaran.serving.settling import CANDIDATE
from trimaran.system.errors import TrimaranError

__all__ = ["ReleaseSwitch", "VersionSwitch", "flip", "require_no_step"]


def flip(repository: Repository, control: Control, live: ModelConfig) -> None:
    """Make `live` the live configuration of the model that it names, and load it.

    Triton serves the old version until the new one is ready. Raises `TrimaranError` if it does not
    load; the old configuration is restored then, as it is after any other failure.
    """
    with repository.live_lock(live.name):
        before = repository.live(live.name)
        write_live(repository, live)
        try:
            control.load(live.name)
        except BaseException as error:
            if before is None:
                remove_live(repository, live.name)
            else:
                write_live(repository, before)
                # A server with a model that hangs would not finish another load.
                if not isinstance(error, LoadTimeoutError):
                    control.load(live.name)
            raise


@dataclass(frozen=True)
class ReleaseSwitch:
    """One ensemble on one server. `say` is called with each step."""

    repository: Repository
    control: Control
    client: Client
    ensemble: str
    say: Callable[[str], None]

    def to(self, target: LiveRelease) -> int:
        """Make `target` live; returns how many golden requests it answered before.

        Raises `TrimaranError` if the release is damaged, does not load, or fails a golden request;
        the live release goes on serving then.
        """
        _require_undamaged(self.repository, self.ensemble, target.number, "release")
        release = read_release(self.repository, self.ensemble, target.number)
        verify_release(self.repository, release)
        self.say(f"loading the steps of release {target.number}")
        before = {name: self.repository.live(name) for name in release.pins}
        served = {name for name in release.pins if self.control.ready_versions(name)}
        try:
            for model, version in release.pins.items():
                self._serve_also(release, model, version)
            self.say("sending the golden requests to the candidate")
            golden = self._try_candidate(release)
        except BaseException as error:
            # A server with a model that hangs would not finish another load.
            self._restore_steps(before, served, load=not isinstance(error, LoadTimeoutError))
            if not isinstance(error, TrimaranError):
                raise
            raise type(error)(
                f"{self.ensemble} release {target.number} was not deployed: {error}"
            ) from error
        self.say(f"switching to release {target.number}")
        replaced = live_release(self.repository.live(self.ensemble))
        config = release.config(self.ensemble)
        flip(self.repository, self.control, render_deployed(config, target, release.pins))
        self._shrink(release, target, replaced)
        return golden

    def _serve_also(self, release: Release, model: str, version: int) -> None:
        live = self.repository.live(model)
        self._set_step(release.config(model), model, {*live_versions(live), version})

    def _set_step(self, config: ModelConfig, model: str, versions: set[int]) -> None:
        """Write and load a step's live configuration, unless the server serves just that."""
        live = self.repository.live(model)
        wanted = render_step(config, versions)
        served = self.control.ready_versions(model)
        if live is not None and format_config(live) == format_config(wanted) and served == versions:
            return
        with self.repository.live_lock(model):
            write_live(self.repository, wanted)
            self.control.load(model)
        missing = versions - self.control.ready_versions(model)
        if missing:
            raise TrimaranError(f"{model} version {min(missing)} did not become ready")

    def _restore_steps(
        self, before: Mapping[str, ModelConfig | None], served: set[str], *, load: bool
    ) -> None:
        for model, config in before.items():
            with self.repository.live_lock(model):
                self._restore_step(model, config, served=model in served, load=load)

    def _restore_step(
        self, model: str, config: ModelConfig | None, *, served: bool, load: bool
    ) -> None:
        live = self.repository.live(model)
        if (live and format_config(live)) == (config and format_config(config)):
            return
        if config is None:
            remove_live(self.repository, model)
        else:
            write_live(self.repository, config)
        if load:
            # A step that cannot be restored must not prevent the others.
            with suppress(TrimaranError):
                if served:
                    self.control.load(model)
                else:
                    self.control.unload(model)

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
        self.control.load_given(candidate, {"1/release.json": b"{}"})
        try:
            check_golden(self.client, name, requests)
        finally:
            # A failure here must not hide why the candidate was refused.
            with suppress(TrimaranError):
                self.control.unload(name)
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
                self.say(f"dropping old versions of {model}")
                self._set_step(live_config, model, keep & set(live_versions(live_config)))


@dataclass(frozen=True)
class VersionSwitch:
    """One model on one server. `say` is called with each step.

    `elsewhere` starts the private server in which the version is tried. It is `None` if the server
    itself is private.
    """

    repository: Repository
    control: Control
    client: Client
    model: str
    elsewhere: Runtime | None
    say: Callable[[str], None]

    def to(self, target: LiveRelease) -> int:
        """Make `target` live; returns how many golden requests it answered before.

        Raises `TrimaranError` if the version is damaged, does not load, or fails a golden request;
        the live one goes on serving then.
        """
        require_no_step(self.repository, self.model)
        _require_undamaged(self.repository, self.model, target.number, "version")
        live = render_deployed(checked_config(self.repository, self.model), target)
        self.say(f"sending the golden requests to version {target.number}")
        try:
            golden = self._try(live)
            self.say(f"switching to version {target.number}")
            flip(self.repository, self.control, live)
        except TrimaranError as error:
            raise type(error)(
                f"{self.model} version {target.number} was not deployed: {error}"
            ) from error
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
            yield self.control, self.client
            return
        with (
            private_server(self.elsewhere, self.repository, alongside=True) as server,
            Client(server.endpoint) as client,
        ):
            yield server.control, client


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
