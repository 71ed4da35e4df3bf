"""Which candidate wins: a pure function of what each of them reached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from trimaran.stats.bootstrap import Ratio, paired_ratio
from trimaran.stats.latency import allowed_late, least_requests

__all__ = ["Choice", "Entrant", "Point", "choose", "missed"]

_LATE_SHARE = 0.01
"""Of the requests, may be later than a bound on p99."""


@dataclass(frozen=True)
class Point:
    """A candidate at one number of rows per request: a figure from each turn.

    Without turns, no load kept the bound, and `alone_p99_ms` is the p99 that came nearest.
    """

    batch: int
    connections: int
    alone_p99_ms: float
    rates: tuple[float, ...] = ()
    """Rows per second in the closed loop."""
    p50_ms: tuple[float, ...] = ()
    p99_ms: tuple[float, ...] = ()
    """Of the open loop; turns in which the generator was late have none."""
    cpu_ms: tuple[float, ...] = ()
    """Of the server, per row."""
    requests: int = 0
    """Of all open loops together."""
    late: int = 0
    """Those that were answered later than the bound, or not at all."""

    @property
    def rate(self) -> float:
        """The median of the rates, 0 without one."""
        return float(np.median(self.rates)) if self.rates else 0.0

    @property
    def nearest_ms(self) -> float:
        """The p99 to compare with a bound: the median of the open loops, or the nearest."""
        return float(np.median(self.p99_ms)) if self.p99_ms else self.alone_p99_ms


@dataclass(frozen=True)
class Entrant:
    """An export that was measured: `size` in bytes, and a point for each number of rows."""

    name: str
    precision: str
    size: int
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Choice:
    """The winner, and its rate over that of each other that kept the bound.

    Both are at their best numbers of rows per request. Without a winner no point keeps the bound,
    and `nearest` is the one that came nearest.
    """

    winner: Entrant | None
    at: Point | None
    ratios: Mapping[str, Ratio] = field(default_factory=dict)
    level: tuple[str, ...] = ()
    """Others that are not slower for certain."""
    nearest: tuple[Entrant, Point] | None = None


def missed(point: Point, bound_ms: float | None) -> str:
    """Why a point misses the bound on p99, or nothing.

    The requests of all its open loops together must keep it with 99 % confidence (see
    `trimaran.stats.latency.bound_holds`).
    """
    if bound_ms is None:
        return ""
    if not point.rates:
        return f"p99 {point.alone_p99_ms:.3g} ms at the lowest load"
    if point.late <= allowed_late(point.requests):
        return ""
    words = f"p99 {point.nearest_ms:.3g} ms"
    if point.requests:
        words += f", {point.late} of {point.requests} requests later than {bound_ms:g} ms"
    needed = least_requests(point.late)
    few = point.requests < needed and point.late <= _LATE_SHARE * point.requests
    return words + (f", and {needed} are needed to be certain: try a longer --duration" * few)


def choose(entrants: Sequence[Entrant], bound_ms: float | None) -> Choice:
    """The entrant with the most rows per second among those that keep the bound on p99.

    Each enters with its best number of rows per request. Where the interval of the ratio to the
    fastest reaches 1, the two are level, and the simpler wins: FP32 before others, then the smaller
    file.
    """
    best: dict[str, tuple[Entrant, Point]] = {}
    for entrant in entrants:
        keeping = [p for p in entrant.points if p.rates and not missed(p, bound_ms)]
        if keeping:
            best[entrant.name] = (entrant, max(keeping, key=lambda point: point.rate))
    if not best:
        every = [(entrant, point) for entrant in entrants for point in entrant.points]
        nearest = min(every, key=lambda pair: pair[1].nearest_ms, default=None)
        return Choice(None, None, nearest=nearest)
    fastest = max(best.values(), key=lambda pair: pair[1].rate)[1]
    level = [
        (entrant, point)
        for entrant, point in best.values()
        if point is fastest or paired_ratio(point.rates, fastest.rates).high >= 1.0
    ]
    winner, at = min(level, key=lambda pair: (pair[0].precision != "fp32", pair[0].size))
    return Choice(
        winner,
        at,
        {
            name: paired_ratio(at.rates, point.rates)
            for name, (entrant, point) in best.items()
            if entrant is not winner
        },
        tuple(entrant.name for entrant, _ in level if entrant is not winner),
    )
