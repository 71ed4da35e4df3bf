"""What a check found, and how its figures are written."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol

from trimaran.rollout.experiments.segments import Segment

__all__ = ["Check", "Finding", "Scale", "State", "requests_of"]

State = Literal["broken", "met", "short", "open"]
"""`broken` and `met` are proven; `short` is proven to gain too little; `open` is anything else."""


@dataclass(frozen=True)
class Scale:
    """How figures of a check are written: times `factor`, with a unit.

    A figure of one arm is `least` more.
    """

    factor: float = 100.0
    unit: str = "%"
    of_difference: str = "points"
    least: float = 0.0

    def level(self, value: float) -> str:
        """A figure of one arm."""
        return f"{self.number(value + self.least / self.factor)} {self.unit}".rstrip()

    def difference(self, value: float) -> str:
        """A difference of two arms."""
        return f"{self.number(value)} {self.of_difference}".rstrip()

    def number(self, value: float) -> str:
        """A figure without its unit, with three digits."""
        scaled = value * self.factor
        if not math.isfinite(scaled):
            return "unbounded"
        return f"{scaled:.3g}" if abs(scaled) < 1000 else f"{scaled:,.0f}"


@dataclass(frozen=True)
class Finding:
    """One check of one segment, with its interval."""

    name: str
    state: State
    said: str
    """A sentence without its full stop: what was found, its interval, after how many requests."""
    live: float | None
    candidate: float | None
    value: float
    """What is compared with the bound: a difference, a ratio, or the candidate's own figure."""
    low: float
    high: float
    bound: float
    alpha: float
    scale: Scale

    def figures(self) -> list[str]:
        """For a table: live, candidate, what is compared, its interval, its bound."""
        scale, is_seen = self.scale, not math.isnan(self.value)
        interval = f"{scale.number(self.low)} to {scale.number(self.high)}"
        has_interval = self.name != "inputs"
        return [
            "" if self.live is None else self._level(self.live),
            "" if self.candidate is None else self._level(self.candidate),
            self._compared() if is_seen else "",
            interval if is_seen and has_interval else "",
            scale.number(self.bound) if is_seen or has_interval else "",
        ]

    def _compared(self) -> str:
        compared = self.live is not None
        return (self.scale.difference if compared else self.scale.level)(self.value)

    def _level(self, value: float) -> str:
        if math.isnan(value):
            return ""
        # What is compared as a ratio are seconds.
        return f"{value * 1000:.3g} ms" if self.scale.unit == "times" else self.scale.level(value)

    def record(self) -> dict[str, Any]:
        """As JSON, where what is unbounded is null."""
        found = asdict(self)
        del found["scale"]
        return {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in found.items()
        }


class Check(Protocol):
    """One thing that is looked at, with its share of alpha."""

    @property
    def name(self) -> str:
        """Unique in a plan."""

    @property
    def weight(self) -> int:
        """Its share of alpha, among those of the others."""

    @property
    def needed(self) -> bool:
        """Whether a candidate is promoted only when this is met."""

    def state(self, segment: Segment, alpha: float) -> State:
        """What is proven."""

    def finding(self, segment: Segment, alpha: float) -> Finding:
        """The same with its figures, which take longer."""


def requests_of(segment: Segment) -> str:
    """After how many requests, in words."""
    live, candidate = segment.live.seen.requests, segment.candidate.seen.requests
    return f"after {candidate:,} requests of the candidate and {live:,} of live"
