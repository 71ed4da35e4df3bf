"""Targets measured in turn, and the ratios between them with intervals.

A contestant is whatever is measured in a turn: a target, the same target with other settings, or
the work in plain processes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace

import numpy as np

from loadtests.bench.block import Block, Settings, closed_block, open_block, require_carried
from loadtests.bench.target import Target
from loadtests.gates import Gate
from trimaran.stats.bootstrap import Ratio, paired_ratio
from trimaran.system.errors import UsageError

__all__ = [
    "FIGURES",
    "Compared",
    "Contestant",
    "Sample",
    "Turns",
    "compare",
    "contestant",
    "ratio_gates",
    "require_latencies",
    "require_turns",
    "take_turns",
]

FIGURES = {"rate": "rows/s", "p50": "ms", "p99": "ms", "CPU": "ms per row"}
"""The figures that are compared, and their units."""

_COMMON_SHARE = 0.7
_WARM_S = 1.0
_MOST_TRIES = 3
"""For each wanted turn, on average: on a shared machine most turns of some minutes are invalid."""


@dataclass(frozen=True)
class Sample:
    """One contestant in one turn."""

    figures: Mapping[str, float]
    """By name: `rate` in rows per second, `p50` and `p99` in ms, `CPU` in ms per row."""
    blocks: Sequence[Block] = ()
    invalid: str = ""
    late: str = ""
    """Why it has no latencies, if the generator came late; the other figures count."""
    ended: bool = False
    """The server went away, or the user ended the run: there is no next turn."""


Contestant = Callable[[int], Sample]
"""Measures itself; given the number of the turn."""


@dataclass(frozen=True)
class Turns:
    """A sample of each contestant from each turn that counts."""

    turns: Sequence[Sequence[Sample]] = field(default_factory=list)
    wanted: int = 0
    left_out: int = 0
    """Turns in which a sample was invalid."""
    invalid: str = ""
    """Why nothing can be concluded, or nothing."""
    ended: Sample | None = None
    """The sample in which the server went away, or which the user ended."""

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

        `None` if less than half of the wanted turns have it, or fewer than two.
        """
        ours_values, theirs_values = self.values(ours, figure), self.values(theirs, figure)
        if len(ours_values) < max(2, self.wanted / 2):
            return None
        return paired_ratio(ours_values, theirs_values)

    def blocks(self) -> list[Block]:
        """All blocks that count, in order."""
        blocks = [block for turn in self.turns for sample in turn for block in sample.blocks]
        return [block for block in blocks if not block.run.invalid]


def require_turns(turns: int) -> None:
    """Raise `UsageError` for fewer turns than an interval needs."""
    if turns < 2:
        raise UsageError(f"--turns is {turns}; an interval needs at least 2")


def take_turns(contestants: Sequence[Contestant], turns: int) -> Turns:
    """Measure all of them in each turn, every second turn backwards.

    An invalid turn is left out and taken again; a turn without latencies is taken again too. The
    comparison is invalid where more than two thirds of the turns are.
    """
    kept: list[list[Sample]] = []
    left_out, complete, reason = 0, 0, ""
    for turn in range(_MOST_TRIES * turns):
        if complete == turns:
            break
        order = list(enumerate(contestants))
        samples: dict[int, Sample] = {}
        for place, contestant in order if turn % 2 == 0 else reversed(order):
            samples[place] = _sample(contestant, turn)
            if samples[place].invalid:
                break
        broken = next((sample for sample in samples.values() if sample.invalid), None)
        if broken is None:
            kept.append([samples[place] for place in range(len(contestants))])
            complete += not any(sample.late for sample in samples.values())
            continue
        left_out, reason = left_out + 1, broken.invalid
        if broken.ended:
            return Turns(kept, turns, left_out, reason, broken)
    if len(kept) < turns:
        tried = len(kept) + left_out
        return Turns(kept, turns, left_out, f"{left_out} of {tried} turns are invalid: {reason}")
    return Turns(kept, turns, left_out)


@dataclass(frozen=True)
class Compared:
    """The turns, and the first target's figures over the second's."""

    turns: Turns
    rate: float
    """The open loop's rate, for both, in requests per second."""

    @property
    def ratios(self) -> Mapping[str, Ratio]:
        """By figure, those that both have."""
        found = {figure: self.turns.ratio(0, 1, figure) for figure in FIGURES}
        return {figure: ratio for figure, ratio in found.items() if ratio is not None}


def compare(
    ours: Target,
    theirs: Target,
    settings: Settings,
    turns: int,
    rate: float | None,
    theirs_resting: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Compared:
    """Measure both in turn: A B, B A, A B and so on.

    With `rate` in an open loop at that rate. Without it, each turn has a closed loop, which gives
    throughput and CPU, and an open loop at 70 % of what the slower one reached, which gives the
    latencies; those of a turn in which the generator was late do not count. The first is measured
    within `theirs_resting`.
    """
    both = ((ours, theirs_resting), (theirs, nullcontext))
    closed = rate is None
    if rate is None:
        ceilings = []
        for target, around in both:
            with around():
                block = closed_block(target, settings.connections, _WARM_S)
            if block.run.invalid:
                return Compared(Turns(invalid=block.run.invalid), 0.0)
            ceilings.append(block.run.rate)
        rate = min(_COMMON_SHARE * min(ceilings), settings.most_rate)
    require_carried(settings, rate)
    contestants = [
        _within(around, contestant(target, settings, closed, rate)) for target, around in both
    ]
    return Compared(take_turns(contestants, turns), rate)


def contestant(target: Target, settings: Settings, closed: bool, rate: float | None) -> Contestant:
    """A target that is measured in a closed loop, in an open one at `rate`, or in both."""

    def measure(turn: int) -> Sample:
        blocks: list[Block] = []
        if closed:
            blocks.append(closed_block(target, settings.connections, settings.seconds))
            settings.on_block(blocks[-1])
        if rate is not None and not any(block.run.invalid for block in blocks):
            blocks.append(open_block(target, rate, settings.seconds, settings.seed + turn))
            settings.on_block(blocks[-1])
        return _sample_of(blocks, closed)

    return measure


def require_latencies(compared: Compared) -> Compared:
    """The same, but invalid where too many turns lack their latencies."""
    turns = compared.turns
    if turns.invalid or "p99" in compared.ratios:
        return compared
    late = next((sample.late for turn in turns.turns for sample in turn if sample.late), "")
    words = f"{turns.late} of {len(turns.turns)} turns have no latencies: {late}"
    return replace(compared, turns=replace(turns, invalid=words))


def ratio_gates(
    ratios: Mapping[str, Ratio], least_rate: float | None, most_p99: float | None
) -> list[Gate]:
    """The SLOs on the ratios; the interval must keep them from end to end."""
    gates = []
    for name, bound, above in (("rate", least_rate, True), ("p99", most_p99, False)):
        if bound is None or name not in ratios:
            continue
        ratio = ratios[name]
        holds = ratio.low >= bound if above else ratio.high <= bound
        words = f"{name} ratio {ratio}; the SLO is at {'least' if above else 'most'} {bound:g}"
        gates.append(Gate(f"{name} ratio", holds, words))
    return gates


def _sample_of(blocks: Sequence[Block], closed: bool) -> Sample:
    first, last = blocks[0].run, blocks[-1].run
    late = blocks[-1].late
    figures = {} if late else {"p50": last.latency_ms["p50"], "p99": last.latency_ms["p99"]}
    if closed:
        figures["rate"] = first.rate * first.rows
    if first.server_cpu_ms:
        figures["CPU"] = first.server_cpu_ms / first.rows
    ended = any(block.outcome.broken or block.outcome.interrupted for block in blocks)
    return Sample(figures, blocks, "" if late else last.invalid, late, ended)


def _sample(contestant: Contestant, turn: int) -> Sample:
    try:
        return contestant(turn)
    except KeyboardInterrupt:
        return Sample({}, invalid="interrupted", ended=True)


def _within(
    around: Callable[[], AbstractContextManager[None]], contestant: Contestant
) -> Contestant:
    """A contestant that is measured within `around`."""

    def measure(turn: int) -> Sample:
        with around():
            return contestant(turn)

    return measure
