"""How often the verdict on an experiment is wrong, and how soon it is right.

    python -m proofs.experiments            # a table in Markdown, about twenty minutes
    python -m proofs.experiments --runs 50  # a sample

Experiments are simulated: requests, errors, latencies, inputs, answers and outcomes that arrive
late are drawn by a seed, and given in steps to the functions that decide in the product. After
every step somebody looks.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from trimaran.rollout.experiments.observed import Observed, Values
from trimaran.rollout.experiments.plan import Errors, Goal, Plan
from trimaran.rollout.experiments.segments import Segment
from trimaran.rollout.experiments.verdict import Word, verdict
from trimaran.stats.anytime_quantiles import bins_of

__all__ = ["SCENARIOS", "Ended", "Scenario", "World", "simulated", "steps_of"]

_DELAY = 5
"""After how many steps the outcomes of a step arrive."""
_ANSWERS = ("stay", "leave", "unsure")


@dataclass(frozen=True)
class World:
    """How an arm behaves."""

    errors: float = 0.001
    accuracy: float = 0.85
    latency: float = 0.012
    """Median, seconds; the p99 is four times that."""
    inputs: Sequence[float] = (0.5, 0.3, 0.15, 0.05)
    answers: Sequence[float] = (0.7, 0.2, 0.1)


@dataclass(frozen=True)
class Scenario:
    """An experiment to simulate."""

    title: str
    plan: Plan
    share: float
    steps: int
    """Of `requests` requests each, with a look after each."""
    requests: int
    candidate: World = field(default_factory=World)
    live: World = field(default_factory=World)
    outages: bool = False
    """Whether now and then a third of all requests of a step fail, in both arms."""
    lost: float = 0.0
    """The part of the candidate's units that is lost."""


@dataclass(frozen=True)
class Ended:
    """How a simulated experiment ended."""

    word: Word
    why: str
    requests: int
    """Of the candidate."""
    outcomes: int
    """Of the candidate."""


def simulated(scenario: Scenario, seed: int) -> Ended:
    """One experiment, until its verdict is not to hold, or its steps are over."""
    segment = Segment(scenario.share)
    found = verdict(scenario.plan, [segment])
    for live, candidate in steps_of(scenario, seed):
        segment = segment.plus(live, candidate)
        found = verdict(scenario.plan, [segment])
        if found.word != "hold":
            break
    outcomes = max((each.count for each in segment.candidate.outcomes.values()), default=0)
    return Ended(found.word, found.why, segment.candidate.seen.requests, outcomes)


def steps_of(scenario: Scenario, seed: int) -> Iterator[tuple[Observed, Observed]]:
    """What is seen of live and of the candidate in each step, with the outcomes that arrive."""
    drawn = np.random.default_rng(seed)
    late: list[tuple[Observed, Observed]] = []
    for step in range(scenario.steps):
        outage = scenario.outages and drawn.random() < 0.02
        count = int(drawn.binomial(scenario.requests, scenario.share))
        kept = int(drawn.binomial(count, 1 - scenario.lost))
        live, candidate = (
            _seen(drawn, world, requests, scenario.plan, outage)
            for world, requests in (
                (scenario.live, scenario.requests - count),
                (scenario.candidate, kept),
            )
        )
        late.append((live[1], candidate[1]))
        arrived = late[step - _DELAY] if step >= _DELAY else (Observed(), Observed())
        yield live[0].plus(arrived[0]), candidate[0].plus(arrived[1])


def _seen(
    drawn: np.random.Generator, world: World, count: int, plan: Plan, outage: bool
) -> tuple[Observed, Observed]:
    """What an arm did in a step, and the outcomes that arrive later."""
    errors = 0.3 if outage else world.errors
    latencies: Counter[int] = Counter()
    if plan.latency:
        latencies = bins_of(drawn.lognormal(np.log(world.latency), 0.6, count))
    inputs = {}
    if plan.inputs:
        inputs = {"field": _counts(drawn, count, "abcd", world.inputs)}
    answers = {}
    if plan.answers is not None:
        answers = _counts(drawn, count, _ANSWERS, world.answers)
    now = Observed(
        requests=count,
        errors=int(drawn.binomial(count, errors)),
        units=count,
        latencies=latencies,
        inputs=inputs,
        answers=answers,
    )
    outcomes = {}
    for goal in plan.goals:
        if goal.binary:
            right = float(drawn.binomial(count, world.accuracy))
            outcomes[goal.name] = Values(count, right, right)
        else:
            width = goal.high - goal.low
            amounts = goal.low + width * drawn.beta(
                8 * world.accuracy, 8 * (1 - world.accuracy), count
            )
            outcomes[goal.name] = Values.of(amounts, goal.low, goal.high)
    return now, Observed(outcomes=outcomes)


def _counts(
    drawn: np.random.Generator, count: int, names: Sequence[str], shares: Sequence[float]
) -> dict[str, int]:
    found = drawn.multinomial(count, shares)
    return {name: int(n) for name, n in zip(names, found, strict=True)}


_ACCURACY = Goal("accuracy", margin=0.03)
_AMOUNT = Goal("amount", margin=2.0, binary=False, low=0.0, high=100.0)
_CANARY = Plan(steps=(0.05, 0.25, 0.5), goals=(_ACCURACY,), answers=0.05)
_AB = replace(_CANARY, steps=(0.5,))
_ERRORS_ONLY = Plan(steps=(0.5,), latency=None, inputs=False)
_FAILING = World(errors=0.02)

SCENARIOS: dict[str, Scenario] = {
    "alike-canary": Scenario("both alike, 5 %", _CANARY, 0.05, 200, 400),
    "alike-ab": Scenario("both alike, 50 %", _AB, 0.5, 200, 40),
    "alike-outages": Scenario("both alike, with outages of both", _AB, 0.5, 200, 40, outages=True),
    "alike-amounts": Scenario(
        "both alike, an amount instead of accuracy", replace(_AB, goals=(_AMOUNT,)), 0.5, 200, 40
    ),
    "failing-canary": Scenario("2 % errors against 0.1 %, 5 %", _CANARY, 0.05, 600, 40, _FAILING),
    "failing-alone": Scenario(
        "2 % errors against 0.1 %, errors alone, with the bound 0.2 %, 5 %",
        replace(_ERRORS_ONLY, steps=(0.05,), errors=Errors(most=0.002)),
        0.05,
        600,
        40,
        _FAILING,
    ),
    "failing-bound": Scenario(
        "2 % errors against 0.1 %, with the bound 0.2 %, 50 %",
        replace(_AB, errors=Errors(most=0.002)),
        0.5,
        600,
        10,
        _FAILING,
    ),
    "failing-ab": Scenario("2 % errors against 0.1 %, 50 %", _AB, 0.5, 600, 10, _FAILING),
    "less-accurate": Scenario(
        "80 % accuracy against 85 %, 50 %", _AB, 0.5, 400, 100, World(accuracy=0.80)
    ),
    "slower": Scenario(
        "latencies longer by a half, 50 %", _AB, 0.5, 400, 100, World(latency=0.018)
    ),
    "losing": Scenario("5 % of its units lost, 50 %", _AB, 0.5, 400, 100, lost=0.05),
    "other-inputs": Scenario(
        "inputs of another mixture, 50 %",
        _AB,
        0.5,
        400,
        100,
        World(inputs=(0.45, 0.3, 0.15, 0.1)),
    ),
    "good": Scenario("both alike, until it is promoted, 50 %", _AB, 0.5, 200, 400),
    "at-the-margin": Scenario(
        "accuracy worse by the margin",
        replace(_AB, errors=None, latency=None),
        0.5,
        200,
        400,
        World(accuracy=0.82),
    ),
    "good-canary": Scenario(
        "errors alone, both alike, 5 %, until it is promoted",
        replace(_ERRORS_ONLY, steps=(0.05,)),
        0.05,
        200,
        2000,
    ),
}


def main(arguments: list[str] | None = None) -> None:
    """Simulate, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m proofs.experiments", description=__doc__)
    parser.add_argument("--runs", type=int, default=500, help="experiments of each kind")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--only", metavar="KIND", choices=SCENARIOS)
    given = parser.parse_args(arguments)
    print("| experiment | runs | abort | promote | neither | requests | within 500 | outcomes |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|")
    with ProcessPoolExecutor(given.processes) as pool:
        for name, scenario in SCENARIOS.items():
            if given.only in (None, name):
                ends = pool.map(partial(simulated, scenario), range(given.runs), chunksize=5)
                print(f"| {scenario.title} | {' | '.join(_cells(list(ends)))} |", flush=True)


def _cells(ends: Sequence[Ended]) -> Iterator[str]:
    words = Counter(each.word for each in ends)
    yield f"{len(ends)}"
    yield f"{words['abort']}"
    yield f"{words['promote']}"
    yield f"{words['hold'] + words['inconclusive']}"
    ended = [each for each in ends if each.word != "hold"]
    soon = sum(each.requests <= 500 for each in ended)
    requests = _middle_and_most([each.requests for each in ended], len(ends))
    yield requests
    yield f"{100 * soon / len(ends):.0f} %" if soon > 0.01 * len(ends) else ""
    outcomes = [each.outcomes for each in ended]
    yield _middle_and_most(outcomes, len(ends)) if any(outcomes) else ""


def _middle_and_most(numbers: Sequence[int], runs: int) -> str:
    """The median and the 95 % quantile; nothing where fewer than 19 of 20 ended."""
    if len(numbers) < 0.95 * runs:
        return ""
    middle, most = np.quantile(numbers, (0.5, 0.95))
    return f"{middle:,.0f}, {most:,.0f}"


if __name__ == "__main__":
    main()
