"""Quantiles of latencies by arm, with intervals that hold at every time at once.

Latencies are counted in bins, each 2 % wider than the one before, so an arm's state is a few
hundred counts however many requests it had.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from trimaran.stats.anytime import Share

__all__ = ["Quantile", "bin_of", "bins_of", "edge_s", "quantile"]

_LEAST_S = 50e-6
_WIDER = 1.02
_LAST = 850
"""The bin from 1,020 s on."""


@dataclass(frozen=True)
class Quantile:
    """A quantile of latencies and the bounds of its interval, seconds.

    `value` is NaN without latencies; `high` is infinite while there are too few of them.
    """

    value: float
    low: float
    high: float


def bin_of(latency_s: float) -> int:
    """The bin of a latency; 0 has all below 0.05 ms."""
    if latency_s <= _LEAST_S:
        return 0
    return min(1 + math.floor(math.log(latency_s / _LEAST_S) / math.log(_WIDER)), _LAST)


def bins_of(latencies_s: Iterable[float]) -> Counter[int]:
    """How many latencies are in each bin."""
    return Counter(map(bin_of, latencies_s))


def edge_s(place: int) -> float:
    """The least latency of a bin, seconds; infinite for the bin after the last."""
    if place <= 0:
        return 0.0
    return _LEAST_S * _WIDER ** (place - 1) if place <= _LAST else math.inf


def quantile(bins: Mapping[int, int], share: float, alpha: float) -> Quantile:
    """The latency within which `share` of all requests are, by the counts of their bins.

    The number of requests within the true quantile is a count of a known share, so its interval
    says between which places of the ordered requests the quantile lies (S. Howard and A. Ramdas,
    "Sequential estimation of quantiles with applications to A/B testing and best-arm
    identification", 2022, section 3). The bounds are edges of bins, rounded outwards.
    """
    count = sum(bins.values())
    if not count:
        return Quantile(math.nan, 0.0, math.inf)
    # Half of alpha for each end, since those within a quantile and those below it may differ.
    few, many = _places(count, share, alpha / 2)
    value = _at(bins, max(1, math.ceil(share * count)))
    return Quantile(
        math.sqrt(edge_s(value) * edge_s(value + 1)) if value else _LEAST_S,
        edge_s(_at(bins, few + 1)),
        edge_s(_at(bins, many) + 1) if many <= count else math.inf,
    )


def _places(count: int, share: float, alpha: float) -> tuple[int, int]:
    """The most requests that are too few to be `share` of `count`, and the fewest too many.

    -1 and `count` + 1 where no number is.
    """
    prior = (0.5 * share / (1 - share), 0.5) if share >= 0.5 else (0.5, 0.5 * (1 - share) / share)
    enough = -math.log(alpha)

    def unlike(seen: int) -> bool:
        return Share(count, seen, prior).against(share) >= enough

    few, middle = -1, round(share * count)
    above = middle
    while above - few > 1:  # the evidence falls towards the middle
        tried = (few + above) // 2
        few, above = (tried, above) if unlike(tried) else (few, tried)
    many, below = count + 1, middle
    while many - below > 1:
        tried = (many + below) // 2
        many, below = (tried, below) if unlike(tried) else (many, tried)
    return few, many


def _at(bins: Mapping[int, int], place: int) -> int:
    """The bin of the request at a place of the ordered ones, from 1; 0 for the places before."""
    if place < 1:
        return 0
    seen = 0
    for each in sorted(bins):
        seen += bins[each]
        if seen >= place:
            return each
    return max(bins)
