"""The stretches of an experiment in which the weights were the same, and their parts of alpha.

A change of the weights starts the statistics anew. Pooled over it, an arm that got more of its
traffic in a bad hour would look worse than it is (E. H. Simpson, 1951). Each stretch has its own
part of the probability of a false alarm, so all of them together keep to it however many there are.
Outcomes that arrive late count where their prediction was made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from trimaran.rollout.experiments.observed import Arm, Observed

__all__ = ["ARMS", "ArmName", "Segment", "parts_of_alpha"]

ArmName = Literal["live", "candidate"]
ARMS: tuple[ArmName, ArmName] = ("live", "candidate")

_PLANNED = 0.9


@dataclass(frozen=True)
class Segment:
    """What was seen while the candidate had `share` of the traffic."""

    share: float
    planned: bool = True
    live: Arm = field(default_factory=Arm)
    candidate: Arm = field(default_factory=Arm)

    def plus(self, live: Observed, candidate: Observed) -> Segment:
        """With what was seen since."""
        return replace(self, live=self.live.plus(live), candidate=self.candidate.plus(candidate))


def parts_of_alpha(segments: Sequence[Segment], planned: int) -> list[float]:
    """Of each segment, its part of alpha; together at most 1.

    `planned` steps share nine tenths. What is left is for changes that nobody planned, of which the
    first gets a half, the second a sixth, and number n gets 1 / (n (n + 1)).
    """
    found, unplanned = [], 0
    for each in segments:
        if each.planned:
            found.append(_PLANNED / planned)
        else:
            unplanned += 1
            found.append((1 - _PLANNED) / (unplanned * (unplanned + 1)))
    return found
