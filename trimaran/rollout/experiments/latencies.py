"""Checks of a quantile of latencies: the candidate's against live's, and against a bound."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from trimaran.rollout.experiments.finding import Finding, Scale, State, requests_of
from trimaran.rollout.experiments.segments import Segment
from trimaran.stats.anytime_quantiles import Quantile, quantile

__all__ = ["LongestLatency", "Slower"]

_MS = Scale(1000.0, "ms", "ms")
_RATIO = Scale(1.0, "times", "times")


@dataclass(frozen=True)
class Slower:
    """The candidate's quantile as a multiple of live's.

    It is met once it is proven to be at most 1 + `margin`, and broken once it is proven to be above
    1, unless it is met. Each arm's interval has half of alpha.
    """

    label: str
    share: float
    margin: float
    name: str = "latency"
    scale: Scale = field(default=_RATIO)
    weight: int = 1
    needed: bool = True

    def state(self, segment: Segment, alpha: float) -> State:
        """See `Check`."""
        return self._state(*self._quantiles(segment, alpha))

    def finding(self, segment: Segment, alpha: float) -> Finding:
        """See `Check`; its figures are the candidate's quantile divided by live's."""
        live, candidate = self._quantiles(segment, alpha)
        state = self._state(live, candidate)
        value = candidate.value / live.value
        low = candidate.low / live.high
        high = candidate.high / live.low if live.low else math.inf
        within = f"proven to be within the margin of {1 + self.margin:g} times"
        proven = {"met": within, "broken": "proven to be slower"}.get(state, f"not {within}")
        said = (
            f"{self.label}: an arm has no latency yet"
            if math.isnan(value)
            else f"{self.label} is {proven}: {value:.3g} times live's "
            f"({_MS.level(candidate.value)} against {_MS.level(live.value)}; interval "
            f"{_RATIO.number(low)} to {_RATIO.number(high)}) {requests_of(segment)}"
        )
        return Finding(
            self.name,
            state,
            said,
            _known(live.value),
            _known(candidate.value),
            value,
            low,
            high,
            1 + self.margin,
            alpha,
            self.scale,
        )

    def _state(self, live: Quantile, candidate: Quantile) -> State:
        if candidate.high <= live.low * (1 + self.margin):
            return "met"
        return "broken" if candidate.low > live.high else "open"

    def _quantiles(self, segment: Segment, alpha: float) -> tuple[Quantile, Quantile]:
        live, candidate = segment.live.seen.latencies, segment.candidate.seen.latencies
        return quantile(live, self.share, alpha / 2), quantile(candidate, self.share, alpha / 2)


@dataclass(frozen=True)
class LongestLatency:
    """The candidate's quantile, which has to be within `most_s` seconds."""

    label: str
    share: float
    most_s: float
    name: str = "latency bound"
    weight: int = 1
    needed: bool = False

    def state(self, segment: Segment, alpha: float) -> State:
        """See `Check`."""
        return self._state(self._quantile(segment, alpha))

    def finding(self, segment: Segment, alpha: float) -> Finding:
        """See `Check`."""
        found = self._quantile(segment, alpha)
        state = self._state(found)
        proven = {"met": "proven to keep to", "broken": "proven to break"}.get(
            state, "not proven to keep to"
        )
        said = (
            f"{self.label}: the candidate has no latency yet"
            if math.isnan(found.value)
            else f"{self.label} is {proven} the most that is allowed, {_MS.level(self.most_s)}: "
            f"{_MS.level(found.value)} (interval {_MS.number(found.low)} to "
            f"{_MS.number(found.high)}) {requests_of(segment)}"
        )
        value = found.value
        return Finding(
            self.name,
            state,
            said,
            None,
            _known(value),
            value,
            found.low,
            found.high,
            self.most_s,
            alpha,
            _MS,
        )

    def _state(self, found: Quantile) -> State:
        if found.low > self.most_s:
            return "broken"
        return "met" if found.high <= self.most_s else "open"

    def _quantile(self, segment: Segment, alpha: float) -> Quantile:
        return quantile(segment.candidate.seen.latencies, self.share, alpha)


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
