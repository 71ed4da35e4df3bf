"""What is done with a candidate, by what was seen: a table."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from trimaran.rollout.experiments.observed import Arm, Observed, Values
from trimaran.rollout.experiments.plan import Errors, Goal, Latency, Plan
from trimaran.rollout.experiments.segments import Segment, parts_of_alpha
from trimaran.rollout.experiments.verdict import findings, verdict
from trimaran.stats.anytime_quantiles import bin_of
from trimaran.system.errors import UsageError

NOTHING = Plan(errors=Errors(), latency=None, inputs=False, split=False)
ERRORS = replace(NOTHING, errors=Errors(margin=0.005))
BOUND = replace(NOTHING, errors=Errors(margin=0.005, most=0.01))
P90 = replace(NOTHING, errors=None, latency=Latency(0.9, 0.25))
P90_BOUND = replace(P90, latency=Latency(0.9, 3.0, most_s=0.1))
ACCURACY = replace(NOTHING, errors=None, goals=(Goal("accuracy", 0.03),))
GAIN = replace(ACCURACY, goals=(Goal("sales", gain=0.02),))
COST = replace(
    ACCURACY, goals=(Goal("cost", 5.0, higher_is_better=False, binary=False, high=100.0),)
)
AGREEMENT = replace(NOTHING, errors=None, agreement=0.95)
SPLIT = replace(ERRORS, split=True)
INPUTS = replace(ERRORS, inputs=True)
ANSWERS = replace(ERRORS, answers=0.05)
SHORT = replace(ERRORS, longest_s=600.0, most_requests=1000)


def failing(requests: int, errors: int, **others: Any) -> Observed:
    return Observed(requests=requests, errors=errors, **others)


def slow(count: int, *latencies_s: float) -> Observed:
    """As many requests of each latency."""
    bins = {bin_of(each): count for each in latencies_s}
    return Observed(requests=count * len(latencies_s), latencies=bins)


def right(goal: str, count: int, mean: float, square: float | None = None) -> Observed:
    squares = count * (mean if square is None else square)
    return Observed(requests=count, outcomes={goal: Values(count, count * mean, squares)})


def of_fields(**counts: int) -> Observed:
    whole = sum(counts.values())
    return Observed(requests=whole, units=whole, inputs={"plan": counts})


def answering(**counts: int) -> Observed:
    return Observed(requests=sum(counts.values()), answers=counts)


TABLE: dict[str, tuple[Plan, Observed, Observed, str, str]] = {
    "nothing seen": (
        *(ERRORS, Observed(), Observed(), "hold"),
        "Live and the candidate had no request, so there is nothing to compare",
    ),
    "an arm without traffic": (
        *(ERRORS, failing(5000, 5), Observed(), "hold"),
        "The candidate had no request, so there is nothing to compare; look whether any is sent.",
    ),
    "an arm without traffic at the end": (
        *(SHORT, Observed(), failing(2000, 2), "inconclusive"),
        "The 1,000 requests of the plan are over, and live had no request",
    ),
    "too few": (
        *(ERRORS, failing(900, 1), failing(100, 0), "hold"),
        "Not yet proven as the plan asks: errors, after 100 requests of the candidate and 900",
    ),
    "as few errors": (
        *(ERRORS, failing(90_000, 90), failing(10_000, 11), "promote"),
        "Proven as the plan asks: errors, after 10,000 requests of the candidate",
    ),
    "more errors": (
        *(ERRORS, failing(9500, 10), failing(500, 10), "abort"),
        "The candidate's error ratio is proven to be worse: 1.89 points above live's (2 % against "
        "0.105 %; interval 0.332 to 5.26) after 500 requests of the candidate and 9,500 of live.",
    ),
    "more errors, within the margin": (
        *(ERRORS, failing(1_000_000, 1000), failing(1_000_000, 1500), "promote"),
        "Proven as the plan asks: errors",
    ),
    "errors above the bound, as live's are": (
        *(BOUND, failing(1000, 30), failing(1000, 30), "abort"),
        "is proven to break the most that is allowed, 1 %: 3 % (interval 1.",
    ),
    "errors above the bound by chance": (
        *(BOUND, failing(50, 1), failing(50, 1), "hold"),
        "Not yet proven",
    ),
    "as fast": (
        *(P90, slow(500, 0.01, 0.02), slow(500, 0.01, 0.02), "promote"),
        "Proven as the plan asks: p90",
    ),
    "slower": (
        *(P90, slow(500, 0.01, 0.02), slow(500, 0.02, 0.04), "abort"),
        "The candidate's p90 latency is proven to be slower: 2",
    ),
    "slower than the bound": (
        *(P90_BOUND, slow(500, 0.1, 0.2), slow(500, 0.1, 0.2), "abort"),
        "is proven to break the most that is allowed, 100 ms: 199 ms",
    ),
    "less accurate": (
        *(ACCURACY, right("accuracy", 9000, 0.85), right("accuracy", 9000, 0.8), "abort"),
        "The candidate's accuracy is proven to be worse: 5 points below live's",
    ),
    "as accurate": (
        *(ACCURACY, right("accuracy", 20_000, 0.85), right("accuracy", 20_000, 0.849), "promote"),
        "Proven as the plan asks: accuracy",
    ),
    "a gain": (
        *(GAIN, right("sales", 9000, 0.1), right("sales", 9000, 0.16), "promote"),
        "Proven as the plan asks: sales",
    ),
    "a gain that is too small": (
        *(GAIN, right("sales", 90_000, 0.1), right("sales", 90_000, 0.105), "inconclusive"),
        "The candidate's sales is proven to gain less than the 2 points that were asked for",
    ),
    "a higher cost": (
        *(COST, right("cost", 3000, 0.2, 0.05), right("cost", 3000, 0.3, 0.1), "abort"),
        "proven to be worse: 10 above live's (30 against 20;",
    ),
    "answers that agree": (
        *(AGREEMENT, Observed(), Observed(requests=999, compared=999, agreed=990), "promote"),
        "Proven as the plan asks: agreement",
    ),
    "answers that do not agree": (
        *(AGREEMENT, Observed(), Observed(requests=999, compared=999, agreed=900), "abort"),
        "The share of equal answers is proven to break the least that is allowed, 95 %: 90.1 %",
    ),
    "units that were lost": (
        *(SPLIT, failing(5000, 5, units=5000), failing(4500, 5, units=4500), "abort"),
        "The candidate got 47.4 % of 9,500 units (interval 45.",
    ),
    "other inputs": (
        *(INPUTS, of_fields(a=900, b=100), of_fields(a=800, b=200), "abort"),
        "The mixture of the input 'plan' differs between the arms",
    ),
    "other answers": (
        *(ANSWERS, answering(yes=900, no=100), answering(yes=700, no=300), "abort"),
        "is proven to differ by more than 5 points: 20 points",
    ),
    "not enough in the time": (
        *(SHORT, failing(900, 1), failing(1000, 1), "inconclusive"),
        "The 1,000 requests of the plan are over, and not yet proven as the plan asks: errors",
    ),
}


@pytest.mark.parametrize("case", TABLE)
def test_the_verdict(case: str) -> None:
    plan, live, candidate, word, why = TABLE[case]
    found = verdict(plan, [Segment(0.5).plus(live, candidate)])
    assert (found.word, why in found.why) == (word, True), found
    assert found.why[0].isupper()
    assert found.why.endswith(".")


def test_the_time_of_the_plan_ends_it() -> None:
    seen = Segment(0.5).plus(failing(90, 0), failing(90, 0))
    assert verdict(SHORT, [seen], 599.0).word == "hold"
    assert verdict(SHORT, [seen], 600.0).why.startswith("The 600 seconds of the plan are over")


def test_what_was_broken_before_the_weights_changed_stays_broken() -> None:
    broken = Segment(0.05).plus(failing(9500, 10), failing(500, 15))
    assert verdict(ERRORS, [broken, Segment(0.5, planned=False)]).word == "abort"


def test_requests_before_the_weights_changed_prove_nothing_after() -> None:
    proven = Segment(0.05).plus(failing(90_000, 90), failing(10_000, 10))
    assert verdict(ERRORS, [proven]).word == "promote"
    assert verdict(ERRORS, [proven, Segment(0.25, planned=False)]).word == "hold"


@pytest.mark.parametrize("planned", [1, 4])
def test_all_stretches_together_keep_to_alpha(planned: int) -> None:
    stretches = [Segment(0.5) for _ in range(planned)]
    stretches += [Segment(0.5, planned=False) for _ in range(1000)]
    assert 0.99 < math.fsum(parts_of_alpha(stretches, planned)) <= 1
    assert sum(each.alpha for each in findings(SPLIT, [Segment(0.5)])) == pytest.approx(0.045)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"steps": (0.05, 1.0)}, "name shares between 0 and 1"),
        ({"alpha": 0.5}, "has an alpha of 0.5"),
        ({"errors": None, "latency": None}, "compares nothing"),
        ({"errors": Errors(margin=math.nan)}, "a number that is not finite"),
        ({"errors": Errors(most=2.0)}, "has 2 as the highest error ratio"),
        ({"goals": (Goal("a"), Goal("a"))}, "names a goal twice"),
        ({"goals": (Goal("a", high=9.0),)}, "bounds 'a' by 0 and 9"),
        ({"goals": (Goal("a", margin=3.0),)}, "has a margin or gain of 'a'"),
        ({"longest_s": -1.0}, "ends before it begins"),
    ],
)
def test_a_plan_that_cannot_be_meant(change: dict[str, Any], problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        Plan(**change)


def test_late_outcomes_count_with_what_was_there() -> None:
    early = right("accuracy", 500, 0.8)
    both = Arm().plus(early).plus(right("accuracy", 500, 0.9)).outcomes["accuracy"]
    assert (both.count, both.value) == (1000, pytest.approx(0.85))
