"""Two targets in turn: throughput and CPU in a closed loop, latencies in an open one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

from loadtests.bench.block import Block, closed_block, open_block
from loadtests.bench.settings import Settings, require_carried
from loadtests.bench.target import Target
from loadtests.bench.turns import Contestant, Sample, Turns, take_turns
from loadtests.judging.gates import Gate
from trimaran.stats.ratio import Ratio

__all__ = [
    "FIGURES",
    "Compared",
    "compare",
    "contestant",
    "judge_ratios",
    "require_latencies",
    "within",
]

FIGURES = {"rate": "rows/s", "p50": "ms", "p99": "ms", "CPU": "ms per row"}
"""What is compared, and in which unit."""

_COMMON_SHARE = 0.7
_WARM_S = 1.0


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
    latencies; those of a turn in which the generator came late do not count. `theirs_resting` is
    around everything that measures the first.
    """
    both = ((ours, theirs_resting), (theirs, nullcontext))
    closed = rate is None
    if rate is None:
        ceilings = []
        for target, around in both:
            with around():
                block = closed_block(target, settings.connections, _WARM_S)
            if block.run.void:
                return Compared(Turns(void=block.run.void), 0.0)
            ceilings.append(block.run.rate)
        rate = min(_COMMON_SHARE * min(ceilings), settings.most_rate)
    require_carried(settings, rate)
    contestants = [
        within(around, contestant(target, settings, closed, rate)) for target, around in both
    ]
    return Compared(take_turns(contestants, turns), rate)


def contestant(target: Target, settings: Settings, closed: bool, rate: float | None) -> Contestant:
    """A target that is measured in a closed loop, in an open one at `rate`, or in both."""

    def measure(turn: int) -> Sample:
        blocks: list[Block] = []
        if closed:
            blocks.append(closed_block(target, settings.connections, settings.seconds))
            settings.tell(blocks[-1])
        if rate is not None and not any(block.run.void for block in blocks):
            blocks.append(open_block(target, rate, settings.seconds, settings.seed + turn))
            settings.tell(blocks[-1])
        return _sample(blocks, closed)

    return measure


def within(
    around: Callable[[], AbstractContextManager[None]], contestant: Contestant
) -> Contestant:
    """A contestant with `around` around everything that measures it."""

    def measure(turn: int) -> Sample:
        with around():
            return contestant(turn)

    return measure


def require_latencies(compared: Compared) -> Compared:
    """The same, but void where too many turns lack their latencies."""
    turns = compared.turns
    if turns.void or "p99" in compared.ratios:
        return compared
    late = next((sample.late for turn in turns.turns for sample in turn if sample.late), "")
    words = f"{turns.late} of {len(turns.turns)} turns have no latencies: {late}"
    return replace(compared, turns=replace(turns, void=words))


def judge_ratios(
    ratios: Mapping[str, Ratio], least_rate: float | None, most_p99: float | None
) -> list[Gate]:
    """Promises on the ratios, which the whole interval must keep."""
    gates = []
    for name, bound, above in (("rate", least_rate, True), ("p99", most_p99, False)):
        if bound is None or name not in ratios:
            continue
        ratio = ratios[name]
        holds = ratio.low >= bound if above else ratio.high <= bound
        words = f"{name} ratio {ratio}, at {'least' if above else 'most'} {bound:g} promised"
        gates.append(Gate(f"{name} ratio", holds, words))
    return gates


def _sample(blocks: Sequence[Block], closed: bool) -> Sample:
    first, last = blocks[0].run, blocks[-1].run
    late = blocks[-1].late
    figures = {} if late else {"p50": last.latency_ms["p50"], "p99": last.latency_ms["p99"]}
    if closed:
        figures["rate"] = first.rate * first.rows
    if first.server_cpu_ms:
        figures["CPU"] = first.server_cpu_ms / first.rows
    ended = any(block.outcome.broken or block.outcome.interrupted for block in blocks)
    return Sample(figures, blocks, "" if late else last.void, late, ended)
