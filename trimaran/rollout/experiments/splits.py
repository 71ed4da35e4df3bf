"""Checks of the split: whether the arms get as many units as planned, and the same mixture."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from trimaran.rollout.experiments.finding import Finding, Scale, State
from trimaran.rollout.experiments.segments import Segment
from trimaran.stats.anytime import Share, interval
from trimaran.stats.anytime_counts import log_share_evidence, log_unlike_evidence

__all__ = ["Inputs", "SampleRatio"]

_E_VALUE = Scale(1.0, "", "")


@dataclass(frozen=True)
class SampleRatio:
    """The candidate's share of all units, which has to be the planned one.

    Where it is not, units are lost or doubled in one arm, and no other figure can be trusted.
    """

    name: str = "sample ratio"
    weight: int = 1
    needed: bool = False

    def state(self, segment: Segment, alpha: float) -> State:
        """See `Check`."""
        count, of_candidate = _units(segment)
        found = log_share_evidence(count, of_candidate, segment.share)
        return "broken" if found >= -math.log(alpha) else "open"

    def finding(self, segment: Segment, alpha: float) -> Finding:
        """See `Check`."""
        count, of_candidate = _units(segment)
        state, scale = self.state(segment, alpha), Scale()
        share = Share(count, of_candidate, (200 * segment.share, 200 * (1 - segment.share)))
        low, high = interval(share, alpha)
        end = "is not" if state == "broken" else "agrees with"
        said = (
            f"the candidate got {scale.level(share.value)} of {count:,} units (interval "
            f"{scale.number(low)} to {scale.number(high)}), which {end} the planned "
            f"{scale.level(segment.share)}"
            if count
            else "sample ratio: no unit was seen yet"
        )
        if state == "broken":
            said += ": look where units are lost before anything else is compared"
        value = share.value if count else math.nan
        return Finding(
            self.name, state, said, None, value, value, low, high, segment.share, alpha, scale
        )


@dataclass(frozen=True)
class Inputs:
    """The mixture of inputs, which is the same in both arms where units are divided by chance.

    The fields have parts of alpha in the order in which they were first seen: number n has
    1 / (n (n + 1)).
    """

    name: str = "inputs"
    weight: int = 1
    needed: bool = False

    def state(self, segment: Segment, alpha: float) -> State:
        """See `Check`."""
        found = self._found(segment)
        return "broken" if any(each >= -math.log(alpha) for each in found.values()) else "open"

    def finding(self, segment: Segment, alpha: float) -> Finding:
        """See `Check`; its figure is the e-value of the field that differs most."""
        found, state = self._found(segment), self.state(segment, alpha)
        worst = max(found, key=lambda each: found[each]) if found else ""
        value = math.exp(min(found[worst], 700.0)) if found else math.nan
        many = segment.live.seen.units + segment.candidate.seen.units
        said = "inputs: no field is counted"
        if found:
            apart = _distance(
                segment.live.seen.inputs.get(worst, {}),
                segment.candidate.seen.inputs.get(worst, {}),
            )
            end = (
                "differs between the arms: look how the traffic is divided before anything else is "
                "compared"
                if state == "broken"
                else "is not proven to differ between the arms"
            )
            said = (
                f"the mixture of the input {worst!r} {end} (e-value {value:.3g}, alarm at "
                f"{1 / alpha:,.0f}; {Scale().difference(apart)} of {many:,} units would have to "
                "change)"
            )
        return Finding(
            self.name, state, said, None, None, value, 0.0, math.inf, 1 / alpha, alpha, _E_VALUE
        )

    def _found(self, segment: Segment) -> dict[str, float]:
        """Of each field, the logarithm of its e-value times its part of alpha."""
        live, candidate = segment.live.seen.inputs, segment.candidate.seen.inputs
        return {
            name: log_unlike_evidence(live.get(name, {}), candidate.get(name, {}), segment.share)
            - math.log(number * (number + 1))
            for number, name in enumerate(dict.fromkeys([*live, *candidate]), start=1)
        }


def _units(segment: Segment) -> tuple[int, int]:
    candidate = segment.candidate.seen.units
    return segment.live.seen.units + candidate, candidate


def _distance(live: Mapping[str, int], candidate: Mapping[str, int]) -> float:
    """The part of the one mixture that would have to be others for both to be alike."""
    of_live, of_candidate = sum(live.values()) or 1, sum(candidate.values()) or 1
    return (
        sum(
            abs(live.get(each, 0) / of_live - candidate.get(each, 0) / of_candidate)
            for each in {*live, *candidate}
        )
        / 2
    )
