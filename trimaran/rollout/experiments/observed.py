"""What one arm did in a stretch of time, as counts, which add up."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self, TypeVar

from trimaran.stats.anytime import Bounded
from trimaran.system.errors import TrimaranError

__all__ = ["Arm", "Observed", "Values"]

_Key = TypeVar("_Key", str, int)
_Value = TypeVar("_Value")

_MOST_CATEGORIES = 1000
"""Of one field, so that a field of free texts does not fill the record."""


@dataclass(frozen=True)
class Values:
    """Values between 0 and 1, by their number, their sum, and the sum of their squares."""

    count: int = 0
    total: float = 0.0
    squares: float = 0.0

    @classmethod
    def of(cls, values: Iterable[float], low: float = 0.0, high: float = 1.0) -> Self:
        """Of values between `low` and `high`. Raises `TrimaranError` for one that is not there."""
        found = []
        for each in values:
            if not low <= each <= high:
                raise TrimaranError(
                    f"an outcome is {each:g}, outside of {low:g} to {high:g}, which the plan names "
                    "as its bounds; record it within them, or begin an experiment with wider ones"
                )
            found.append((each - low) / (high - low))
        return cls(len(found), math.fsum(found), math.fsum(each * each for each in found))

    def plus(self, more: Values) -> Values:
        """Both together."""
        return Values(self.count + more.count, self.total + more.total, self.squares + more.squares)


@dataclass(frozen=True)
class Observed:
    """What was seen of an arm since the last look.

    `units` are what the traffic is divided by: clients that were seen for the first time, or
    requests that have no client's key. `inputs` and `answers` count units as well, one request of
    each, because the requests of one client are alike.
    """

    requests: int = 0
    errors: int = 0
    units: int = 0
    latencies: Mapping[int, int] = field(default_factory=dict)
    """Of requests that had an answer, by bin (`trimaran.stats.anytime_quantiles.bins_of`)."""
    compared: int = 0
    """Requests that live answered, in a shadow."""
    agreed: int = 0
    """Those whose answers agreed."""
    answers: Mapping[str, int] = field(default_factory=dict)
    """By answer, such as a class."""
    inputs: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """By field, then by category or bin."""
    outcomes: Mapping[str, Values] = field(default_factory=dict)
    """By the name of a goal."""

    def plus(self, more: Observed) -> Observed:
        """Both together."""
        return Observed(
            self.requests + more.requests,
            self.errors + more.errors,
            self.units + more.units,
            _added(self.latencies, more.latencies),
            self.compared + more.compared,
            self.agreed + more.agreed,
            _added(self.answers, more.answers),
            _joined(self.inputs, more.inputs, _added),
            _joined(self.outcomes, more.outcomes, Values.plus),
        )

    def record(self) -> dict[str, Any]:
        """As JSON, without what is empty."""
        found: dict[str, Any] = {
            each.name: getattr(self, each.name) for each in fields(self) if getattr(self, each.name)
        }
        if self.latencies:
            found["latencies"] = {str(place): count for place, count in self.latencies.items()}
        if self.outcomes:
            found["outcomes"] = {
                name: [each.count, each.total, each.squares] for name, each in self.outcomes.items()
            }
        return found

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> Observed:
        """What `record` made. Raises `KeyError`, `TypeError` or `ValueError` for anything else."""
        given = dict(record)
        if "latencies" in given:
            given["latencies"] = {int(place): n for place, n in given["latencies"].items()}
        if "outcomes" in given:
            given["outcomes"] = {name: Values(*each) for name, each in given["outcomes"].items()}
        return cls(**given)

    def problem(self) -> str:
        """What cannot be right with it, as a part of a sentence; empty where all can be."""
        whole = (self.requests, self.errors, self.units, self.compared, self.agreed)
        counts = [*whole, *self.latencies.values(), *self.answers.values()]
        counts += [count for each in self.inputs.values() for count in each.values()]
        if any(type(count) is not int or count < 0 for count in counts):
            return "a count is not a whole number from 0 on"
        if self.errors > self.requests:
            return f"{self.errors:,} errors in {self.requests:,} requests"
        if self.agreed > self.compared:
            return f"{self.agreed:,} agreements in {self.compared:,} comparisons"
        for name, each in self.inputs.items():
            if len(each) > _MOST_CATEGORIES:
                return f"{len(each):,} categories of the input {name!r}; bin it"
        if len(self.answers) > _MOST_CATEGORIES:
            return f"{len(self.answers):,} different answers; bin them"
        return ""


@dataclass(frozen=True)
class Arm:
    """All that was seen of an arm while the weights were the same."""

    seen: Observed = field(default_factory=Observed)
    outcomes: Mapping[str, Bounded] = field(default_factory=dict)

    def plus(self, more: Observed) -> Arm:
        """With what was seen since."""
        outcomes = dict(self.outcomes)
        for name, each in more.outcomes.items():
            before = outcomes.get(name, Bounded())
            outcomes[name] = before.seen(each.count, each.total, each.squares)
        return Arm(self.seen.plus(more), outcomes)


def _added(one: Mapping[_Key, int], other: Mapping[_Key, int]) -> Mapping[_Key, int]:
    if not other:
        return one
    counts = Counter(one)
    counts.update(other)
    return counts


def _joined(
    one: Mapping[str, _Value],
    other: Mapping[str, _Value],
    join: Callable[[_Value, _Value], _Value],
) -> Mapping[str, _Value]:
    if not other:
        return one
    return {**one, **{n: join(one[n], each) if n in one else each for n, each in other.items()}}
