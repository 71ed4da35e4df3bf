"""What is live on disk is what is served, also after a deployment that was killed.

A kill can fall between the rename of a live configuration and its load, before the candidate is
unloaded, or while a temporary file is written. Call `settle` with the deployment lock held, so that
no deployment is at work; `trimaran serve` does so after each one (`Settling`).
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from threading import Event, Thread

from trimaran.repository.config import ModelConfig, is_ensemble
from trimaran.repository.live import live_versions
from trimaran.repository.repository import Repository
from trimaran.serving.control import Control
from trimaran.serving.stub_processes import IN_TRANSITION
from trimaran.system.errors import TrimaranError

__all__ = ["CANDIDATE", "Settling", "settle", "unsettled"]

CANDIDATE = "_canary"
"""What is added to an ensemble's name while a release of it is tried."""

_NONE = ModelConfig()
_INTERVAL_S = 0.25


def unsettled(live: Mapping[str, ModelConfig], served: Mapping[str, Iterable[int]]) -> list[str]:
    """The models to load again, steps before ensembles.

    `live` has the live configurations on disk, `served` the versions that answer, both by model. A
    model that the server was not started with is left alone.
    """
    changed = [
        name
        for name, versions in served.items()
        if name in live
        and live_versions(live[name])
        and {*versions} != {*live_versions(live[name])}
    ]
    return sorted(changed, key=lambda name: (is_ensemble(live[name]), name))


def settle(repository: Repository, control: Control, promised: Collection[str] = ()) -> list[str]:
    """Load what is live on disk, remove what a killed deployment left, and say what was done.

    Models that are `promised` are loaded also where no version of them answers. Raises
    `TrimaranError` where the server does not answer. A model that does not load is tried again by
    the next call.
    """
    names = repository.names()
    live = {}
    for name in names:
        path = repository.live_path(name)
        for left in path.parent.glob(f".{path.name}.*"):
            left.unlink(missing_ok=True)
        with suppress(TrimaranError):  # reported by the command that reads it
            if (config := repository.live(name)) is not None:
                live[name] = config
    served: defaultdict[str, set[int]] = defaultdict(set)
    moving = set()
    for state in control.index():
        if state.state == "READY" and state.version:
            served[state.name].add(int(state.version))
        elif state.state in IN_TRANSITION:
            moving.add(state.name)
    done = []
    looked_at = {*served, *promised} - moving
    for name in unsettled(live, {name: served[name] for name in looked_at}):
        with suppress(TrimaranError):
            control.load(name)
            versions = ", ".join(map(str, live_versions(live[name])))
            done.append(
                f"{name}: a deployment was cut off, or passed this server by; what is live is "
                f"loaded: {versions}"
            )
    # Triton's index lists only models of the repository.
    for name in (f"{name}{CANDIDATE}" for name in served if is_ensemble(live.get(name, _NONE))):
        with suppress(TrimaranError):
            if name not in names and control.statistics(name):
                control.unload(name)
                done.append(f"{name}: unloaded; a deployment was cut off while it was tried")
    return done


class Settling(Thread):
    """Settles a server after each deployment, by whatever process, once its lock is free.

    A deployment that was killed is then repaired without another command. A version in transition
    is looked at again when it is ready. What is done goes to `log`.

    If deployments were at work after `since_ns`, the server may have loaded its first models from
    files of both before and after. So those that are `promised` are loaded again where they failed.
    """

    def __init__(
        self,
        repository: Repository,
        control: Control,
        log: logging.Logger,
        promised: Collection[str] = (),
        since_ns: int = 0,
    ) -> None:
        super().__init__(name="settling", daemon=True)
        self._repository = repository
        self._control = control
        self._log = log
        self._promised = promised
        self._since_ns = since_ns
        self._settled_ns = 0
        self._stopping = Event()

    def run(self) -> None:
        """Settle until `finish` is called."""
        while not self._stopping.wait(_INTERVAL_S):
            try:
                taken_ns = self._repository.last_deployment_ns()
                if taken_ns != self._settled_ns:
                    disturbed = not self._settled_ns and taken_ns != self._since_ns
                    self._settle(self._promised if disturbed else ())
            except BlockingIOError:  # a deployment is at work
                continue
            except (TrimaranError, OSError) as error:
                if not self._stopping.is_set():
                    self._log.error(f"what is served could not be compared with the disk: {error}")

    def finish(self) -> None:
        """End the thread; a load in progress ends with the server."""
        self._stopping.set()

    def _settle(self, promised: Collection[str]) -> None:
        with self._repository.deployment_lock(wait=False):
            taken_ns = self._repository.last_deployment_ns()
            for done in settle(self._repository, self._control, promised):
                self._log.warning(done)
            if not any(state.state in IN_TRANSITION for state in self._control.index()):
                self._settled_ns = taken_ns
