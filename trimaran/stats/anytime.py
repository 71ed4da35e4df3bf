"""Means and their differences, with intervals that hold at every time at once.

Somebody may look at them as often as they like, and stop when they like.

    live, candidate = Share(20_000, 21), Share(1_050, 19)
    difference_interval(live, candidate, alpha=0.05)  # (0.0068, 0.0306): 0.7 to 3.1 points more
    evidence(live, candidate, 0.0)                    # 17.9: the natural logarithm of an e-value

The evidence against a value is an e-process: a bet at fair odds if the value is the true one, so it
ever reaches 1 / alpha with a probability of at most alpha (J. Ville, 1939). The interval holds the
values against which it has not reached that. Two arms' evidence is multiplied, and the evidence
against a difference is the least of all pairs of means with that difference; so nothing need be
known about the means themselves, nor about how the traffic was divided.

A. Ramdas, P. Grunwald, V. Vovk and G. Shafer, "Game-theoretic statistics and safe anytime-valid
inference" (2023), sections 2 and 3.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

__all__ = [
    "EVEN",
    "RARE",
    "Bounded",
    "Mean",
    "Share",
    "difference_interval",
    "evidence",
    "interval",
    "log_beta",
]

EVEN = (0.5, 0.5)
"""The parameters of a beta distribution that expects nothing of a share."""
RARE = (0.5, 50.0)
"""The same, for a share that is expected to be about one per cent."""

_FINE = 5e-4
"""How exact a bound is, as a part of its distance from the mean; it is rounded outwards."""
_GOLDEN = (math.sqrt(5) - 1) / 2
_NARROW = 1e-9

_BETS = tuple(0.9 * 0.65**place for place in range(20))
"""From 0.9, for a few values, to 0.0002, for some ten million."""
_COSTS = tuple(-math.log1p(-bet) - bet for bet in _BETS)


class Mean(Protocol):
    """What one arm has shown about a mean between 0 and 1."""

    @property
    def count(self) -> int:
        """How many values were seen."""

    @property
    def value(self) -> float:
        """Their mean; 0.5 where there is none."""

    def against(self, mean: float) -> float:
        """The logarithm of the e-value against the true mean being `mean`; least at `value`."""


@dataclass(frozen=True)
class Share:
    """A share, as of failed requests: of `count` requests, `total` were so.

    `total` may be a sum of values between 0 and 1, for which the same evidence holds (W. Hoeffding,
    1963, lemma 1), and is weak where they lie close together. `prior` decides where an interval is
    narrow, never whether it holds.

    The evidence is the mixture of all likelihood ratios by the beta distribution `prior`: Howard,
    Ramdas, McAuliffe and Sekhon, "Time-uniform, nonparametric, nonasymptotic confidence sequences"
    (2021), proposition 7, after H. Robbins (1970).
    """

    count: int
    total: float
    prior: tuple[float, float] = EVEN

    @property
    def value(self) -> float:
        """The share that was seen; 0.5 where nothing was."""
        return self.total / self.count if self.count else 0.5

    @cached_property
    def _mixture(self) -> float:
        a, b = self.prior
        return log_beta(a + self.total, b + self.count - self.total) - log_beta(a, b)

    def against(self, mean: float) -> float:
        """See `Mean`."""
        return self._mixture - _times_log(self.total, mean) - _times_log(self.rest, 1 - mean)

    @property
    def rest(self) -> float:
        """How many were not so."""
        return self.count - self.total


@dataclass(frozen=True)
class Bounded:
    """A mean of values between 0 and 1, whose interval becomes narrow where they vary little.

    `spread` is the sum of their squared distances from what was expected of each before it was
    seen. The evidence is a mixture of empirical Bernstein bets in both directions: Howard et al.
    (2021), theorem 4, and I. Waudby-Smith and A. Ramdas, "Estimating means of bounded random
    variables by betting" (2024), section 3.
    """

    count: int = 0
    total: float = 0.0
    spread: float = 0.0

    @property
    def value(self) -> float:
        """The mean that was seen; 0.5 where nothing was."""
        return self.total / self.count if self.count else 0.5

    def seen(self, count: int, total: float, squares: float) -> Bounded:
        """With `count` more values, whose sum is `total` and whose squares have the sum `squares`.

        What was seen before them is what was expected of them all.
        """
        expected = (self.total + 0.5) / (self.count + 1)
        spread = squares - 2 * expected * total + count * expected**2
        return Bounded(self.count + count, self.total + total, self.spread + max(spread, 0.0))

    def against(self, mean: float) -> float:
        """See `Mean`."""
        over = self.total - self.count * mean
        bets = [
            abs(bet * over) - cost * self.spread for bet, cost in zip(_BETS, _COSTS, strict=True)
        ]
        best = max(bets)
        both = sum(
            math.exp(each - best) * (1 + math.exp(-2 * abs(bet * over)))
            for each, bet in zip(bets, _BETS, strict=True)
        )
        return best + math.log(both / (2 * len(_BETS)))


def interval(mean: Mean, alpha: float) -> tuple[float, float]:
    """Where the true mean is: at every time at once, with a probability of at least 1 - `alpha`."""
    return _around(mean.value, (0.0, 1.0), mean.against, alpha)


def evidence(live: Mean, candidate: Mean, difference: float) -> float:
    """The logarithm of the e-value against `candidate`'s mean less `live`'s being `difference`.

    It tells in no direction by itself: see which side of `difference` the two values are on.
    """
    low, high = max(0.0, -difference), min(1.0, 1.0 - difference)
    wanted = sorted((live.value, candidate.value - difference))
    low, high = (min(max(each, low), high) for each in wanted)
    return _least(lambda mean: live.against(mean) + candidate.against(mean + difference), low, high)


def difference_interval(live: Mean, candidate: Mean, alpha: float) -> tuple[float, float]:
    """Where the true mean of `candidate` less that of `live` is, in the sense of `interval`."""
    if not live.count or not candidate.count:
        return -1.0, 1.0
    found = candidate.value - live.value
    return _around(found, (-1.0, 1.0), lambda each: evidence(live, candidate, each), alpha)


def log_beta(a: float, b: float) -> float:
    """The logarithm of the beta function."""
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def _around(
    value: float, bounds: tuple[float, float], against: Callable[[float], float], alpha: float
) -> tuple[float, float]:
    """The values around `value` against which the evidence has not reached 1 / `alpha`."""
    enough = -math.log(alpha)
    found = []
    for bound in bounds:
        inside, outside = value, bound
        if against(bound) < enough:
            found.append(bound)
            continue
        while abs(outside - inside) > _FINE * abs(outside - value) + _NARROW:
            middle = (inside + outside) / 2
            if against(middle) < enough:
                inside = middle
            else:
                outside = middle
        found.append(outside)
    return found[0], found[1]


def _least(function: Callable[[float], float], low: float, high: float) -> float:
    """The least value of a convex function between two places, by the golden section."""
    if high - low <= _NARROW:
        return function((low + high) / 2)
    narrow = max(_NARROW, (high - low) * 1e-4)
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_left, at_right = function(left), function(right)
    while high - low > narrow:
        if at_left < at_right:
            high, right, at_right = right, left, at_left
            left = high - _GOLDEN * (high - low)
            at_left = function(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + _GOLDEN * (high - low)
            at_right = function(right)
    return min(at_left, at_right)


def _times_log(times: float, of: float) -> float:
    """`times * log(of)`, which is 0 for 0 times the logarithm of 0."""
    if times <= 0:
        return 0.0
    return times * math.log(of) if of > 0 else -math.inf
