"""The checks of a plan, and how alpha is divided among them.

Every check of every segment has its own part of the plan's alpha, and all parts together are at
most alpha. So with a probability of at least 1 - alpha no interval of an experiment is ever wrong,
at any look. The checks of errors have twice the part of the others, because they have to be fast.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from trimaran.rollout.experiments.finding import Check, Scale
from trimaran.rollout.experiments.latencies import LongestLatency, Slower
from trimaran.rollout.experiments.means import Answers, Difference, Limit
from trimaran.rollout.experiments.observed import Arm
from trimaran.rollout.experiments.plan import Goal, Plan
from trimaran.rollout.experiments.splits import Inputs, SampleRatio
from trimaran.stats.anytime import RARE, Bounded, Mean, Share

__all__ = ["checks_of", "part_of"]


def checks_of(plan: Plan) -> list[Check]:
    """What a plan looks at, the guards of the split first."""
    return list(_checks(plan))


def part_of(check: Check, checks: list[Check]) -> float:
    """A check's part of a segment's alpha."""
    return check.weight / sum(each.weight for each in checks)


def _checks(plan: Plan) -> Iterator[Check]:
    if plan.split:
        yield SampleRatio()
    if plan.inputs:
        yield Inputs()
    if plan.errors:
        label = "the candidate's error ratio"
        yield Difference("errors", label, _errors, plan.errors.margin, weight=2)
        if plan.errors.most is not None:
            yield Limit("error bound", label, _failed, plan.errors.most, RARE, weight=2)
    if plan.latency:
        name = f"p{100 * plan.latency.quantile:g}"
        label = f"the candidate's {name} latency"
        yield Slower(label, plan.latency.quantile, plan.latency.margin, name)
        if plan.latency.most_s is not None:
            bound = plan.latency.most_s
            yield LongestLatency(label, plan.latency.quantile, bound, f"{name} bound")
    for goal in plan.goals:
        yield _outcome(goal)
    if plan.agreement is not None:
        yield Limit(
            "agreement",
            "the share of equal answers",
            _agreed,
            plan.agreement,
            higher_is_better=True,
            needed=True,
        )
    if plan.answers is not None:
        yield Answers(plan.answers)


def _outcome(goal: Goal) -> Check:
    width = goal.high - goal.low
    return Difference(
        goal.name,
        f"the candidate's {goal.name}",
        _outcomes_of(goal),
        goal.margin / width,
        None if goal.gain is None else goal.gain / width,
        goal.higher_is_better,
        Scale() if goal.binary else Scale(width, "", "", goal.low),
        "outcomes",
    )


def _outcomes_of(goal: Goal) -> Callable[[Arm], Mean]:
    def mean(arm: Arm) -> Mean:
        found = arm.outcomes.get(goal.name, Bounded())
        return Share(found.count, found.total) if goal.binary else found

    return mean


def _errors(arm: Arm) -> Share:
    return Share(*_failed(arm), RARE)


def _failed(arm: Arm) -> tuple[int, int]:
    return arm.seen.requests, arm.seen.errors


def _agreed(arm: Arm) -> tuple[int, int]:
    return arm.seen.compared, arm.seen.agreed
