"""Checks of means: errors, outcomes, agreement, and the shares of answers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from trimaran.rollout.experiments.finding import Finding, Scale, State, requests_of
from trimaran.rollout.experiments.observed import Arm
from trimaran.rollout.experiments.segments import Segment
from trimaran.stats.anytime import (
    EVEN,
    Mean,
    Share,
    difference_interval,
    evidence,
    interval,
)

__all__ = ["Answers", "Difference", "Limit"]


@dataclass(frozen=True)
class Difference:
    """The candidate's mean against live's.

    It is met once it is proven to be worse by less than `margin`, or better by more than `gain`; it
    is broken once it is proven to be worse at all, unless it is also proven to be within `margin`.
    """

    name: str
    label: str
    mean: Callable[[Arm], Mean]
    margin: float
    gain: float | None = None
    higher_is_better: bool = False
    scale: Scale = field(default_factory=Scale)
    noun: str = "requests"
    weight: int = 1
    needed: bool = True

    def state(self, segment: Segment, alpha: float) -> State:
        """See `Check`."""
        live, candidate = self.mean(segment.live), self.mean(segment.candidate)
        if not live.count or not candidate.count:
            return "open"
        sign = -1 if self.higher_is_better else 1
        worse = sign * (candidate.value - live.value)

        def unlike(by: float) -> bool:
            return evidence(live, candidate, sign * by) >= -math.log(alpha)

        if worse < self._target and unlike(self._target):
            return "met"
        if worse > 0 and unlike(0.0):
            return "broken"
        if self.gain is not None and worse > -self.gain and unlike(-self.gain):
            return "short"
        return "open"

    @property
    def _target(self) -> float:
        """What the candidate has to be worse by less than."""
        return self.margin if self.gain is None else -self.gain

    def finding(self, segment: Segment, alpha: float) -> Finding:
        """See `Check`; its figures are the candidate's less live's."""
        live, candidate = self.mean(segment.live), self.mean(segment.candidate)
        state = self.state(segment, alpha)
        low, high = difference_interval(live, candidate, alpha)
        both = bool(live.count and candidate.count)
        value = candidate.value - live.value if both else 0.0
        sign = -1 if self.higher_is_better else 1
        return Finding(
            self.name,
            state,
            self._said(state, live, candidate, (value, low, high)),
            live.value if live.count else None,
            candidate.value if candidate.count else None,
            value if both else math.nan,
            low,
            high,
            sign * self._target,
            alpha,
            self.scale,
        )

    def _said(
        self, state: State, live: Mean, candidate: Mean, found: tuple[float, float, float]
    ) -> str:
        if not live.count or not candidate.count:
            arm = "the candidate" if live.count else "live"
            return f"{self.label}: {arm} has no {self.noun} yet"
        value, low, high = found
        scale = self.scale
        side = "above" if value > 0 else "below"
        return (
            f"{self.label} is {self._proven(state)}: {scale.difference(abs(value))} {side} live's "
            f"({scale.level(candidate.value)} against {scale.level(live.value)}; interval "
            f"{scale.number(low)} to {scale.number(high)}) after {candidate.count:,} {self.noun} "
            f"of the candidate and {live.count:,} of live"
        )

    def _proven(self, state: State) -> str:
        if state == "broken":
            return "proven to be worse"
        if self.gain is None:
            within = f"proven to be within the margin of {self.scale.difference(self.margin)}"
            return within if state == "met" else f"not {within}"
        gain = self.scale.difference(self.gain)
        return {
            "met": f"proven to gain more than {gain}",
            "short": f"proven to gain less than the {gain} that were asked for",
        }.get(state, f"not proven to gain {gain}")


@dataclass(frozen=True)
class Limit:
    """A share of the candidate alone, against a bound."""

    name: str
    label: str
    counts: Callable[[Arm], tuple[int, int]]
    """How many were counted, and how many of them were so."""
    bound: float
    prior: tuple[float, float] = EVEN
    higher_is_better: bool = False
    weight: int = 1
    needed: bool = False

    def state(self, segment: Segment, alpha: float) -> State:
        """See `Check`."""
        share = self._share(segment)
        if not share.count or share.against(self.bound) < -math.log(alpha):
            return "open"
        return "met" if (share.value > self.bound) == self.higher_is_better else "broken"

    def finding(self, segment: Segment, alpha: float) -> Finding:
        """See `Check`."""
        share, state, scale = self._share(segment), self.state(segment, alpha), Scale()
        low, high = interval(share, alpha)
        kind = "least" if self.higher_is_better else "most"
        proven = {
            "met": "proven to keep to",
            "broken": "proven to break",
        }.get(state, "not proven to keep to")
        said = (
            f"{self.label} is {proven} the {kind} that is allowed, {scale.level(self.bound)}: "
            f"{scale.level(share.value)} (interval {scale.number(low)} to {scale.number(high)}) "
            f"after {share.count:,} requests of the candidate"
            if share.count
            else f"{self.label}: the candidate has no request yet"
        )
        value = share.value if share.count else math.nan
        return Finding(
            self.name, state, said, None, value, value, low, high, self.bound, alpha, scale
        )

    def _share(self, segment: Segment) -> Share:
        return Share(*self.counts(segment.candidate), self.prior)


@dataclass(frozen=True)
class Answers:
    """The share of each answer, which may differ by `margin` between the arms.

    The answers have parts of alpha in the order in which they were first seen: number n has
    1 / (n (n + 1)), so it need not be known how many there are.
    """

    margin: float
    name: str = "answers"
    weight: int = 1
    needed: bool = False

    def state(self, segment: Segment, alpha: float) -> State:
        """See `Check`."""
        for live, candidate, part in self._shares(segment, alpha).values():
            bound = math.copysign(self.margin, candidate.value - live.value)
            beyond = abs(candidate.value - live.value) > self.margin
            if beyond and evidence(live, candidate, bound) >= -math.log(part):
                return "broken"
        return "open"

    def finding(self, segment: Segment, alpha: float) -> Finding:
        """See `Check`; its figures are of the answer whose share differs most."""
        shares, state, scale = self._shares(segment, alpha), self.state(segment, alpha), Scale()
        if not shares:
            return Finding(
                self.name,
                state,
                "answers: an arm has none yet",
                *(None, None, math.nan, -1.0, 1.0, self.margin, alpha, scale),
            )
        worst = max(shares, key=lambda each: abs(shares[each][1].value - shares[each][0].value))
        live, candidate, part = shares[worst]
        low, high = difference_interval(live, candidate, part)
        value = candidate.value - live.value
        proven = "proven" if state == "broken" else "not proven"
        said = (
            f"the share of the answer {worst!r} is {proven} to differ by more than "
            f"{scale.difference(self.margin)}: {scale.difference(abs(value))} "
            f"{'above' if value > 0 else 'below'} live's (interval {scale.number(low)} to "
            f"{scale.number(high)}) {requests_of(segment)}"
        )
        return Finding(
            self.name,
            state,
            said,
            live.value,
            candidate.value,
            value,
            low,
            high,
            math.copysign(self.margin, value),
            alpha,
            scale,
        )

    def _shares(self, segment: Segment, alpha: float) -> dict[str, tuple[Share, Share, float]]:
        arms = segment.live.seen.answers, segment.candidate.seen.answers
        whole = [sum(each.values()) for each in arms]
        if not all(whole):
            return {}
        return {
            name: (
                Share(whole[0], arms[0].get(name, 0)),
                Share(whole[1], arms[1].get(name, 0)),
                alpha / (number * (number + 1)),
            )
            for number, name in enumerate(_in_order(segment), start=1)
        }


def _in_order(segment: Segment) -> Iterator[str]:
    yield from dict.fromkeys([*segment.live.seen.answers, *segment.candidate.seen.answers])
