"""The plan of an experiment: what is compared, what may be lost, and when it ends.

    Plan(steps=(0.05, 0.25, 0.5), errors=Errors(margin=0.002, most=0.01))

A plan is fixed when the experiment begins, because a margin that is chosen after looking proves
nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from trimaran.system.errors import UsageError

__all__ = ["Errors", "Goal", "Latency", "Plan"]


@dataclass(frozen=True)
class Errors:
    """The share of failed requests."""

    margin: float = 0.005
    """How much higher the candidate's may be: proven before it is promoted."""
    most: float | None = None
    """Above this it is aborted whatever live does."""


@dataclass(frozen=True)
class Latency:
    """A quantile of latencies."""

    quantile: float = 0.99
    margin: float = 0.25
    """By what part of live's the candidate's may be longer: proven before it is promoted."""
    most_s: float | None = None
    """Above this it is aborted whatever live does."""


@dataclass(frozen=True)
class Goal:
    """The mean of an outcome, such as accuracy: the share of predictions that were right."""

    name: str
    margin: float = 0.02
    """How much worse the candidate's mean may be, in the unit of the outcome."""
    gain: float | None = None
    """By how much it has to be better instead."""
    higher_is_better: bool = True
    binary: bool = True
    """Each outcome is 0 or 1. Otherwise it is between `low` and `high`."""
    low: float = 0.0
    high: float = 1.0


@dataclass(frozen=True)
class Plan:
    """What an experiment is to show. None stands for what is not looked at."""

    steps: tuple[float, ...] = (0.5,)
    """The candidate's shares of the traffic that are planned, one after the other."""
    errors: Errors | None = field(default_factory=Errors)
    latency: Latency | None = field(default_factory=Latency)
    goals: tuple[Goal, ...] = ()
    agreement: float | None = None
    """The least share of equal answers, in a shadow."""
    inputs: bool = True
    """Whether both arms have to be given the same mixture of inputs."""
    answers: float | None = None
    """By how much the share of any answer may differ."""
    split: bool = True
    """Whether the traffic has to be divided as planned; not in a shadow, where both arms get it."""
    alpha: float = 0.05
    """The probability of any false alarm and of any wrong proof, all looks and checks together."""
    longest_s: float | None = None
    most_requests: int | None = None
    """Of the candidate. After either the experiment is inconclusive."""

    def __post_init__(self) -> None:
        """Raise `UsageError` for a plan that says nothing, or cannot be meant."""
        if problem := _problem(self):
            raise UsageError(f"the plan {problem}")

    def goal(self, name: str) -> Goal:
        """The goal of a name. Raises `UsageError` where there is none."""
        for each in self.goals:
            if each.name == name:
                return each
        known = ", ".join(each.name for each in self.goals) or "none"
        raise UsageError(f"the plan has no goal {name!r}; it has {known}")

    def record(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> Plan:
        """What `record` made. Raises `TypeError`, `KeyError` or `UsageError` for anything else."""
        given = dict(record)
        given["steps"] = tuple(given["steps"])
        given["goals"] = tuple(Goal(**each) for each in given["goals"])
        given["errors"] = given["errors"] and Errors(**given["errors"])
        given["latency"] = given["latency"] and Latency(**given["latency"])
        return cls(**given)


def _problem(plan: Plan) -> str:
    numbers = [value for part in _parts(plan) for value in part]
    if any(isinstance(each, float) and not math.isfinite(each) for each in numbers):
        return "has a number that is not finite"
    most = math.nextafter(1, 0) if plan.split else 1
    if not plan.steps or not all(0 < each <= most for each in plan.steps):
        return f"divides the traffic by {list(plan.steps)}; name shares between 0 and 1, as 0.05"
    if not 0 < plan.alpha <= 0.2:
        return f"has an alpha of {plan.alpha:g}; choose one above 0 and at most 0.2"
    if len({each.name for each in plan.goals}) < len(plan.goals):
        return "names a goal twice"
    if not any((plan.errors, plan.latency, plan.goals, plan.agreement is not None)):
        return "compares nothing; name errors, a latency, a goal or an agreement"
    if (plan.longest_s or 1) <= 0 or (plan.most_requests or 1) <= 0:
        return "ends before it begins; name a duration and a number of requests above 0"
    for name, share in _shares(plan):
        if share is not None and not 0 < share < 1:
            return f"has {share:g} as {name}; name one between 0 and 1"
    if plan.latency and (plan.latency.margin <= 0 or (plan.latency.most_s or 1) <= 0):
        return "allows no latency; name a margin, and a bound in seconds, above 0"
    for goal in plan.goals:
        if not goal.name.isprintable() or not 0 < len(goal.name) <= 64:
            return f"has a goal named {goal.name[:64]!r}; use 1 to 64 printable characters"
        if goal.low >= goal.high or (goal.binary and (goal.low, goal.high) != (0, 1)):
            return f"bounds {goal.name!r} by {goal.low:g} and {goal.high:g}, which cannot be"
        if not 0 < goal.margin < goal.high - goal.low or (goal.gain or 0) < 0:
            return f"has a margin or gain of {goal.name!r} that its bounds do not allow"
    return ""


def _shares(plan: Plan) -> list[tuple[str, float | None]]:
    errors, latency = plan.errors, plan.latency
    return [
        ("the margin of errors", errors.margin if errors else None),
        ("the highest error ratio", errors.most if errors else None),
        ("the quantile of latency", latency.quantile if latency else None),
        ("the least agreement", plan.agreement),
        ("the margin of answers", plan.answers),
    ]


def _parts(plan: Plan) -> list[tuple[Any, ...]]:
    parts = (plan, plan.errors, plan.latency, *plan.goals)
    return [tuple(getattr(part, each.name) for each in fields(part)) for part in parts if part] + [
        plan.steps
    ]
