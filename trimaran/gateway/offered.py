"""The models that clients may ask: what is live in the repository, without steps of ensembles."""

from __future__ import annotations

from dataclasses import dataclass

from trimaran.checks.raising import checked_config, sound_ensembles
from trimaran.publishing.releases import step_models
from trimaran.repository.repository import Repository
from trimaran.system.errors import TrimaranError

__all__ = ["Offered", "offered_models"]


@dataclass(frozen=True)
class Offered:
    """A model by name, the steps of an ensemble, and whether requests depend on one another."""

    name: str
    steps: tuple[str, ...] = ()
    stateful: bool = False


def offered_models(repository: Repository) -> tuple[Offered, ...]:
    """Every model with a live configuration that is no step of another, by name.

    A model whose configuration cannot be read is left out, since no server loads it.
    """
    by_ensemble = {
        name: tuple(step_models(repository.config(name))) for name in sound_ensembles(repository)
    }
    steps = {step for each in by_ensemble.values() for step in each}
    found: list[Offered] = []
    for name in repository.names():
        if name in steps or not repository.live_path(name).is_file():
            continue
        try:
            config = checked_config(repository, name)
        except TrimaranError:
            continue
        stateful = config.HasField("sequence_batching")
        found.append(Offered(name, by_ensemble.get(name, ()), stateful))
    return tuple(found)
