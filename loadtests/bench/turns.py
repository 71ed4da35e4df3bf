"""Contestants measured in turn, and the ratios between them with intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from loadtests.bench.block import Block
from trimaran.stats.ratio import Ratio, paired_ratio

__all__ = ["Contestant", "Sample", "Turns", "take_turns"]

_MOST_TRIES = 3
"""For each turn that is wanted, on average: machines that others use too have minutes in which
most turns are void."""


@dataclass(frozen=True)
class Sample:
    """What one contestant came to in one turn."""

    figures: Mapping[str, float]
    """By name: `rate` in rows per second, `p50` and `p99` in ms, `CPU` in ms per row."""
    blocks: Sequence[Block] = ()
    void: str = ""
    late: str = ""
    """Why it has no latencies, if the generator came late; the other figures count."""
    ended: bool = False
    """The server went away, or the user ended it: there is no next turn."""


Contestant = Callable[[int], Sample]
"""Measures itself; given the number of the turn."""


@dataclass(frozen=True)
class Turns:
    """A sample of each contestant from each turn that counts."""

    turns: Sequence[Sequence[Sample]] = field(default_factory=list)
    wanted: int = 0
    left_out: int = 0
    """Turns in which a sample was void."""
    void: str = ""
    """Why nothing can be concluded, or nothing."""
    ended: Sample | None = None
    """The one in which the server went away, or which the user ended."""

    @property
    def late(self) -> int:
        """Turns that count without their latencies."""
        return sum(any(sample.late for sample in turn) for turn in self.turns)

    def values(self, place: int, figure: str) -> list[float]:
        """One contestant's figure over the turns in which all have it."""
        return [
            turn[place].figures[figure]
            for turn in self.turns
            if all(sample.figures.get(figure) for sample in turn)
        ]

    def median(self, place: int, figure: str) -> float:
        """The median of a contestant's figure; NaN without one."""
        values = self.values(place, figure)
        return float(np.median(values)) if values else float("nan")

    def ratio(self, ours: int, theirs: int, figure: str) -> Ratio | None:
        """A figure of one contestant over that of another.

        `None` if fewer turns than half of those that were wanted have it, or fewer than two.
        """
        ours_values, theirs_values = self.values(ours, figure), self.values(theirs, figure)
        if len(ours_values) < max(2, self.wanted / 2):
            return None
        return paired_ratio(ours_values, theirs_values)

    def blocks(self) -> list[Block]:
        """All blocks that count, in order."""
        blocks = [block for turn in self.turns for sample in turn for block in sample.blocks]
        return [block for block in blocks if not block.run.void]


def take_turns(contestants: Sequence[Contestant], turns: int) -> Turns:
    """Measure all of them in each turn, every second turn backwards.

    A turn in which one is void is left out and taken again, and one without latencies is taken
    again too; the whole is void where more than twice as many turns are void as count.
    """
    kept: list[list[Sample]] = []
    left_out, whole, reason = 0, 0, ""
    for turn in range(_MOST_TRIES * turns):
        if whole == turns:
            break
        order = list(enumerate(contestants))
        samples: dict[int, Sample] = {}
        for place, contestant in order if turn % 2 == 0 else reversed(order):
            samples[place] = _sample(contestant, turn)
            if samples[place].void:
                break
        broken = next((sample for sample in samples.values() if sample.void), None)
        if broken is None:
            kept.append([samples[place] for place in range(len(contestants))])
            whole += not any(sample.late for sample in samples.values())
            continue
        left_out, reason = left_out + 1, broken.void
        if broken.ended:
            return Turns(kept, turns, left_out, reason, broken)
    if len(kept) < turns:
        tried = len(kept) + left_out
        return Turns(kept, turns, left_out, f"{left_out} of {tried} turns are void: {reason}")
    return Turns(kept, turns, left_out)


def _sample(contestant: Contestant, turn: int) -> Sample:
    try:
        return contestant(turn)
    except KeyboardInterrupt:
        return Sample({}, void="interrupted", ended=True)
