"""What is measured of one target: its profile, one rate, or the highest rate under a bound."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from loadtests.bench.block import Block, Settings, closed_block, open_block, require_carried
from loadtests.bench.compare import Contestant, Sample, Turns, contestant, take_turns
from loadtests.bench.target import Target
from loadtests.gates import FAILED, Gate, Gates
from trimaran.stats.latency import least_requests
from trimaran.system.errors import TrimaranError, UsageError

__all__ = ["Measured", "find_max", "highest_rate", "one_load", "profile", "tail"]

_SHARES = (0.2, 0.5, 0.7, 0.9)
"""The open-loop rates of a profile, as shares of the closed loop's."""

_AT_SHARE = 0.7
_CEILING = "the ceiling"
_LOADED = "at 70 % of the ceiling"
_TAIL_TURNS = 6
"""Turns of the ratio in a profile."""
_LATE_ALLOWED = 5
"""A probe has so many requests that this many late ones are allowed, within `_LONGEST_S`."""
_LONGEST_S = 60.0

_RESOLUTION = 1.04
_HALVINGS = 5
_CONFIRMATIONS = 2
_STEP_DOWN = 0.95


@dataclass(frozen=True)
class Measured:
    """Blocks in order, and what follows from them by name."""

    blocks: list[Block]
    figures: dict[str, float | str] = field(default_factory=dict)
    invalid: str = ""
    """Why it ended early, where no block says so."""


def one_load(target: Target, settings: Settings, rate: float | None) -> Measured:
    """One block: at a rate, or in a closed loop where the rate is `None`."""
    if rate is None:
        block = closed_block(target, settings.connections, settings.seconds, settings.gates)
    else:
        require_carried(settings, rate)
        block = open_block(target, rate, settings.seconds, settings.seed, settings.gates)
    settings.on_block(block)
    return Measured([block])


def profile(
    target: Target,
    settings: Settings,
    price: float | None = None,
) -> Measured:
    """The ceiling in a closed loop, the unloaded latency, and open loops at shares of the ceiling.

    With a `price` of the machine for an hour, the figures have the cost of a million rows at 70 %
    of the ceiling. The gates are checked at that load. Ends early where a block is invalid.
    """
    measured = Measured([], {})
    try:
        return _profile(measured, target, settings, price)
    except KeyboardInterrupt:
        if not measured.blocks:
            raise
        return replace(measured, invalid="interrupted")


def tail(target: Target, settings: Settings, ceiling: float, turns: int) -> Turns:
    """The p99 at 70 % of the ceiling, and the median of a single connection, in turns.

    Both are the figure `p99`, so that its ratio is the first over the second.
    """
    loaded = replace(settings, seconds=settings.seconds / 2)
    alone = replace(settings, seconds=settings.seconds / _TAIL_TURNS, connections=1)
    return take_turns(
        [
            _only("p99", contestant(target, loaded, False, _AT_SHARE * ceiling)),
            _only("p50", contestant(target, alone, True, None)),
        ],
        turns,
    )


def find_max(target: Target, settings: Settings) -> Measured:
    """The highest open-loop rate at which 99 % of the requests keep the SLO on p99."""
    bound_ms = settings.gates.p99_ms
    if bound_ms is None:
        raise UsageError("--find-max needs an SLO to search under; give --p99-ms")
    first = _shows(_CEILING, closed_block(target, settings.connections, settings.seconds))
    settings.on_block(first)
    blocks = [first]
    if first.run.invalid:
        return Measured(blocks)
    alone = closed_block(target, 1, settings.seconds)
    settings.on_block(alone)
    if alone.run.invalid:
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
        settings.on_block(block)
        blocks.append(block)
        if block.outcome.broken or block.outcome.interrupted:
            raise _EndedError
        kept = not block.run.invalid and block.run.exit_status < FAILED
        if kept:
            held[rate] = block
        return kept

    try:
        found = highest_rate(holds, first.run.rate / 4)
    except _EndedError:
        return Measured(blocks)
    except KeyboardInterrupt:
        return Measured(blocks, invalid="interrupted")
    if found is None:
        return _none_holds(first, bound_ms, len(blocks) - 1)
    figures: dict[str, float | str] = {
        "highest rate in a closed loop, requests/s": first.run.rate,
        f"highest rate with p99 within {bound_ms:g} ms, requests/s": found,
        "probes": str(len(blocks) - 1),
    }
    highest = _shows(f"the highest rate with p99 within {bound_ms:g} ms", held[found])
    return Measured([first, highest], figures)


def highest_rate(holds: Callable[[float], bool], start: float) -> float | None:
    """The highest rate, to 4 %, that holds, and holds again in two more tries.

    `holds` measures at a rate per second. The rate is doubled or halved from `start`, then
    bisected. `None` if even 1/32 of `start` does not hold.
    """
    low = start
    for _ in range(_HALVINGS + 1):
        if holds(low):
            break
        low /= 2
    else:
        return None
    high = low * 2
    if low == start:
        while holds(high):
            low, high = high, high * 2
    while high / low > _RESOLUTION:
        middle = (low * high) ** 0.5
        if holds(middle):
            low = middle
        else:
            high = middle
    while low > start / 2**_HALVINGS:
        if all(holds(low) for _ in range(_CONFIRMATIONS)):
            return low
        low *= _STEP_DOWN
    return None


def _profile(
    measured: Measured,
    target: Target,
    settings: Settings,
    price: float | None,
) -> Measured:
    """Add to `measured`, block by block."""
    blocks, figures = measured.blocks, measured.figures

    def add(block: Block) -> bool:
        blocks.append(block)
        settings.on_block(block)
        return not block.run.invalid

    if not add(_shows(_CEILING, closed_block(target, settings.connections, settings.seconds))):
        return measured
    ceiling = blocks[0].run
    if not add(closed_block(target, 1, settings.seconds)):
        return measured
    figures["highest rate in a closed loop, requests/s"] = ceiling.rate
    figures["unloaded median, ms"] = blocks[1].run.latency_ms["p50"]
    if price is not None:
        rows_an_hour = _AT_SHARE * ceiling.rate * ceiling.rows * 3600
        figures["cost of a million rows at 70 % load"] = price / rows_an_hour * 1e6
    for place, share in enumerate(_SHARES):
        gates = settings.gates if share == _AT_SHARE else Gates()
        block = open_block(
            target, share * ceiling.rate, settings.seconds, settings.seed + place, gates
        )
        named = replace(block, run=replace(block.run, load=f"{block.run.load} ({share:.0%})"))
        going = add(_shows(_LOADED, named) if share == _AT_SHARE else named)
        if share == _AT_SHARE and going:
            turns = tail(target, settings, ceiling.rate, _TAIL_TURNS)
            invalid = turns.invalid or "the generator was late"
            ratio = turns.ratio(0, 1, "p99")
            figures["p99 at 70 % load / unloaded median"] = (
                str(ratio) if ratio else f"invalid: {invalid}"
            )
            if turns.ended:
                return _cut_short(measured, turns.ended)
        if block.outcome.broken or block.outcome.interrupted:
            break
    return measured


def _shows(what: str, block: Block) -> Block:
    return replace(block, run=replace(block.run, shows=what))


def _only(figure: str, contestant: Contestant) -> Contestant:
    """The contestant with one of its figures, as its p99."""

    def measure(turn: int) -> Sample:
        sample = contestant(turn)
        found = sample.figures.get(figure)
        return replace(sample, figures={} if found is None else {"p99": found})

    return measure


def _cut_short(measured: Measured, last: Sample) -> Measured:
    """The measured blocks when the server goes away, or the user ends the run, during a turn."""
    blocks = [*measured.blocks, *last.blocks]
    return replace(measured, blocks=blocks, invalid="" if last.blocks else last.invalid)


def _none_holds(first: Block, bound_ms: float, probes: int) -> Measured:
    words = f"no rate keeps 99 % of the requests within {bound_ms:g} ms"
    failed = replace(first.run, gates=[Gate("p99", False, words)])
    return Measured([replace(first, run=failed)], {"probes": str(probes)})


class _EndedError(TrimaranError):
    """The server went away, or the user ended the run."""
