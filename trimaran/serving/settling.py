"""What is live on disk is what is served, also after a deployment that was killed.

A kill can fall between the rename of a live configuration and its load, before the candidate is
unloaded, or while a temporary file is written. Call `settle` with the deployment lock held, so that
no deployment is at work.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress

from trimaran.repository.config import ModelConfig, is_ensemble
from trimaran.repository.live import live_versions
from trimaran.repository.repository import Repository
from trimaran.serving.control import Control
from trimaran.system.errors import TrimaranError

__all__ = ["CANDIDATE", "settle", "unsettled"]

CANDIDATE = "_canary"
"""What is added to an ensemble's name while a release of it is tried."""


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


def settle(repository: Repository, control: Control) -> list[str]:
    """Load what is live on disk, remove what a killed deployment left, and say what was done.

    Raises `TrimaranError` where the server does not answer. A model that does not load is tried
    again by the next call.
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
    for state in control.index():
        if state.state == "READY" and state.version:
            served[state.name].add(int(state.version))
    done = []
    for name in unsettled(live, served):
        with suppress(TrimaranError):
            control.load(name)
            versions = ", ".join(map(str, live_versions(live[name])))
            done.append(f"{name}: a deployment was cut off; what is live is loaded: {versions}")
    # Triton's index lists only models of the repository.
    for name in (f"{name}{CANDIDATE}" for name in served if name in live):
        with suppress(TrimaranError):
            if name not in names and control.statistics(name):
                control.unload(name)
                done.append(f"{name}: unloaded; a deployment was cut off while it was tried")
    return done
