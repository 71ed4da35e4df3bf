"""What is measured of one target: its profile, one rate, or the highest rate under a bound."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from loadtests.bench.block import Block, closed_block, open_block
from loadtests.bench.compare import contestant
from loadtests.bench.search import highest_rate
from loadtests.bench.settings import Settings, require_carried
from loadtests.bench.target import Target
from loadtests.bench.turns import Contestant, Sample, Turns, take_turns
from loadtests.judging.gates import FAILED, Gate, Gates
from trimaran.stats.latency import least_requests
from trimaran.system.errors import TrimaranError, UsageError

__all__ = ["BOUND_TURNS", "Measured", "find_max", "one_load", "profile", "tail"]

_SHARES = (0.2, 0.5, 0.7, 0.9)
"""The open-loop rates of a profile, as shares of the closed loop's."""

_AT_SHARE = 0.7
BOUND_TURNS = 6
"""Of the ratios in a profile."""
_LATE_ALLOWED = 5
"""A probe has so many requests that this many late ones are allowed, if it need not last longer
than `_LONGEST_S`."""
_LONGEST_S = 60.0


@dataclass(frozen=True)
class Measured:
    """Blocks in order, and what follows from them by name."""

    blocks: list[Block]
    figures: dict[str, float | str] = field(default_factory=dict)
    void: str = ""
    """Why it ended early, where none of the blocks tells it."""


def one_load(target: Target, settings: Settings, rate: float | None) -> Measured:
    """One block: at a rate, or with the settings' connections where there is none."""
    if rate is None:
        block = closed_block(target, settings.connections, settings.seconds, settings.gates)
    else:
        require_carried(settings, rate)
        block = open_block(target, rate, settings.seconds, settings.seed, settings.gates)
    settings.tell(block)
    return Measured([block])


def profile(
    target: Target,
    settings: Settings,
    bound: Contestant | None = None,
    price: float | None = None,
) -> Measured:
    """The ceiling in a closed loop, the unloaded latency, and open loops at shares of the ceiling.

    With a `bound`, the ceiling is measured in turn with it. With a `price` of the machine for an
    hour, the figures have what a million rows cost at 70 % of the ceiling, where gates are judged
    too. Ends early where a block is void.
    """
    measured = Measured([], {})
    try:
        return _profile(measured, target, settings, bound, price)
    except KeyboardInterrupt:
        if not measured.blocks:
            raise
        return replace(measured, void="interrupted")


def _profile(
    measured: Measured,
    target: Target,
    settings: Settings,
    bound: Contestant | None,
    price: float | None,
) -> Measured:
    """Add to what is measured, block by block."""
    blocks, figures = measured.blocks, measured.figures

    def add(block: Block) -> bool:
        blocks.append(block)
        settings.tell(block)
        return not block.run.void

    if not add(closed_block(target, settings.connections, settings.seconds)):
        return measured
    ceiling = blocks[0].run
    if not add(closed_block(target, 1, settings.seconds)):
        return measured
    figures["highest rate in a closed loop, requests/s"] = ceiling.rate
    figures["unloaded median, ms"] = blocks[1].run.latency_ms["p50"]
    if price is not None:
        rows_an_hour = _AT_SHARE * ceiling.rate * ceiling.rows * 3600
        figures["cost of a million rows at 70 % load"] = price / rows_an_hour * 1e6
    if bound is not None:
        turns = _beside(target, settings, bound)
        figures.update(_shares_of_limit(turns))
        if turns.ended:
            return _cut_short(measured, turns.ended)
    for place, share in enumerate(_SHARES):
        gates = settings.gates if share == _AT_SHARE else Gates()
        block = open_block(
            target, share * ceiling.rate, settings.seconds, settings.seed + place, gates
        )
        named = replace(block, run=replace(block.run, load=f"{block.run.load} ({share:.0%})"))
        going = add(named)
        if share == _AT_SHARE and going:
            turns = tail(target, settings, ceiling.rate, BOUND_TURNS)
            void = turns.void or "the generator was late"
            ratio = turns.ratio(0, 1, "p99")
            figures["p99 at 70 % load / unloaded median"] = str(ratio) if ratio else f"void: {void}"
            if turns.ended:
                return _cut_short(measured, turns.ended)
        if block.outcome.broken or block.outcome.interrupted:
            break
    return measured


def tail(target: Target, settings: Settings, ceiling: float, turns: int) -> Turns:
    """The p99 at 70 % of the ceiling, and the median of a single connection, in turns.

    Both are the figure `p99`, so that its ratio is the one over the other.
    """
    loaded = replace(settings, seconds=settings.seconds / 2)
    alone = replace(settings, seconds=settings.seconds / BOUND_TURNS, connections=1)
    return take_turns(
        [
            _only("p99", contestant(target, loaded, False, _AT_SHARE * ceiling)),
            _only("p50", contestant(target, alone, True, None)),
        ],
        turns,
    )


def _only(figure: str, contestant: Contestant) -> Contestant:
    """The contestant with one of its figures, as its p99."""

    def measure(turn: int) -> Sample:
        sample = contestant(turn)
        found = sample.figures.get(figure)
        return replace(sample, figures={} if found is None else {"p99": found})

    return measure


def _cut_short(measured: Measured, last: Sample) -> Measured:
    """What there is when the server goes away, or the user ends it, in one of the turns."""
    blocks = [*measured.blocks, *last.blocks]
    return replace(measured, blocks=blocks, void="" if last.blocks else last.void)


def _beside(target: Target, settings: Settings, bound: Contestant) -> Turns:
    brief = replace(settings, seconds=settings.seconds / BOUND_TURNS)
    return take_turns([contestant(target, brief, True, None), bound], BOUND_TURNS)


def _shares_of_limit(turns: Turns) -> dict[str, float | str]:
    """The achieved share of the limit, in rate and in CPU."""
    if turns.void:
        return {"rate / in-process limit": f"void: {turns.void}"}
    found: dict[str, float | str] = {
        "in-process limit, rows/s": turns.median(1, "rate"),
        "in-process limit, CPU ms per row": turns.median(1, "CPU"),
    }
    names = {"rate": "rate / in-process limit", "CPU": "CPU per row / in-process limit"}
    for figure, name in names.items():
        ratio = turns.ratio(0, 1, figure)
        if ratio is not None:
            found[name] = str(ratio)
    return found


def find_max(target: Target, settings: Settings) -> Measured:
    """The highest open-loop rate at which 99 % of the requests keep within the promised p99."""
    bound_ms = settings.gates.p99_ms
    if bound_ms is None:
        raise UsageError("--find-max needs the bound that it searches under: --p99-ms")
    first = closed_block(target, settings.connections, settings.seconds)
    settings.tell(first)
    blocks = [first]
    if first.run.void:
        return Measured(blocks)
    alone = closed_block(target, 1, settings.seconds)
    settings.tell(alone)
    if alone.run.void:
        return Measured([*blocks, alone])
    if alone.run.latency_ms["p50"] > bound_ms:
        return _none_holds(first, bound_ms, 0)
    held: dict[float, Block] = {}

    def holds(rate: float) -> bool:
        if rate > settings.most_rate:
            return False
        seconds = max(settings.seconds, min(least_requests(_LATE_ALLOWED) / rate, _LONGEST_S))
        seed = settings.seed + len(blocks)
        block = open_block(target, rate, seconds, seed, Gates(p99_ms=bound_ms))
        settings.tell(block)
        blocks.append(block)
        if block.outcome.broken or block.outcome.interrupted:
            raise _EndedError
        kept = not block.run.void and block.run.exit_status < FAILED
        if kept:
            held[rate] = block
        return kept

    try:
        found = highest_rate(holds, first.run.rate / 4)
    except _EndedError:
        return Measured(blocks)
    except KeyboardInterrupt:
        return Measured(blocks, void="interrupted")
    if found is None:
        return _none_holds(first, bound_ms, len(blocks) - 1)
    figures: dict[str, float | str] = {
        "highest rate in a closed loop, requests/s": first.run.rate,
        f"highest rate with p99 within {bound_ms:g} ms, requests/s": found,
        "probes": str(len(blocks) - 1),
    }
    return Measured([first, held[found]], figures)


def _none_holds(first: Block, bound_ms: float, probes: int) -> Measured:
    words = f"no rate keeps 99 % of the requests within {bound_ms:g} ms"
    failed = replace(first.run, gates=[Gate("p99", False, words)])
    return Measured([replace(first, run=failed)], {"probes": str(probes)})


class _EndedError(TrimaranError):
    """The server went away, or the user ended the run."""
