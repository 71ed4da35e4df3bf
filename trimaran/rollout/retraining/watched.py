"""What retraining asks of monitoring, which it does not import: a command hands it in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from trimaran.rollout.retrain_plan import Triggers
from trimaran.rollout.retraining.due import Reason

__all__ = ["Asked", "Watched"]


@dataclass(frozen=True)
class Asked:
    """What monitoring is asked about a live run."""

    triggers: Triggers
    models: Mapping[str, int]
    """Its releases and versions by model."""
    metric: str
    """The main metric, as people call it."""
    less: bool
    """Whether less of it is better."""
    moving: str
    """The feature that always moves: see `triggers.moving_feature`."""


class Watched(Protocol):
    """What monitoring has found of the live models."""

    def __call__(self, asked: Asked) -> Sequence[Reason]:
        """The reasons by what was served, for the triggers that are asked for."""
        ...
