"""The verdict on an experiment: promote, abort, hold or inconclusive.

One pure function of what was seen. It is asked at every look, and the statistics below it hold at
all looks at once, so nothing is lost by asking often.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from trimaran.rollout.experiments.checks import checks_of, part_of
from trimaran.rollout.experiments.finding import Check, Finding, State
from trimaran.rollout.experiments.plan import Plan
from trimaran.rollout.experiments.segments import ARMS, Segment, parts_of_alpha

__all__ = ["Move", "Verdict", "Word", "findings", "next_move", "verdict"]

Word = Literal["promote", "abort", "hold", "inconclusive"]
Move = Literal["stay", "next", "back", "over"]


@dataclass(frozen=True)
class Verdict:
    """A word, and the sentence that says why."""

    word: Word
    why: str


def verdict(plan: Plan, segments: Sequence[Segment], elapsed_s: float = 0.0) -> Verdict:
    """What is to be done with the candidate, by all that was seen until now.

    | first that applies | verdict |
    |---|---|
    | a check of any segment is broken | abort |
    | every needed check of the last segment is met | promote |
    | a goal is proven to gain less than was asked for | inconclusive |
    | the plan's time or requests are used up | inconclusive |
    | anything else | hold |
    """
    for segment, alpha in _with_alpha(plan, segments):
        for check, part in _with_parts(plan, alpha):
            if check.state(segment, part) == "broken":
                return Verdict("abort", _sentence(check.finding(segment, part)))
    last, alpha = _with_alpha(plan, segments)[-1]
    states = _states(plan, last, alpha)
    wanted = {name: state for name, state in states.items() if state != "met"}
    if not wanted:
        return Verdict("promote", f"Proven as the plan asks: {_listed(states)}, {_seen(last)}.")
    short = [name for name, state in wanted.items() if state == "short"]
    if short:
        (first,) = (each for each in findings(plan, segments) if each.name == short[0])
        return Verdict("inconclusive", _sentence(first))
    silent = [name for name in ARMS if not getattr(last, name).seen.requests]
    still = (
        f"{' and '.join(map(_the, silent))} had no request, so there is nothing to compare; look "
        "whether any is sent"
        if silent
        else f"not yet proven as the plan asks: {_listed(wanted)}, {_seen(last)}"
    )
    if end := _end(plan, segments, elapsed_s):
        return Verdict("inconclusive", f"{end}, and {still}.")
    return Verdict("hold", f"{still[0].upper()}{still[1:]}.")


def findings(plan: Plan, segments: Sequence[Segment]) -> list[Finding]:
    """What each check found in the last segment, with its interval."""
    last, alpha = _with_alpha(plan, segments)[-1]
    return [check.finding(last, part) for check, part in _with_parts(plan, alpha)]


def _states(plan: Plan, segment: Segment, alpha: float) -> Mapping[str, State]:
    """The state of each check that a promotion needs."""
    return {
        check.name: check.state(segment, part)
        for check, part in _with_parts(plan, alpha)
        if check.needed
    }


def _with_alpha(plan: Plan, segments: Sequence[Segment]) -> list[tuple[Segment, float]]:
    parts = parts_of_alpha(segments, len(plan.steps))
    return [(segment, plan.alpha * part) for segment, part in zip(segments, parts, strict=True)]


def _with_parts(plan: Plan, alpha: float) -> Iterator[tuple[Check, float]]:
    checks = checks_of(plan)
    return ((check, alpha * part_of(check, checks)) for check in checks)


def _end(plan: Plan, segments: Sequence[Segment], elapsed_s: float) -> str:
    requests = sum(each.candidate.seen.requests for each in segments)
    if plan.longest_s is not None and elapsed_s >= plan.longest_s:
        return f"The {plan.longest_s:,.0f} seconds of the plan are over"
    if plan.most_requests is not None and requests >= plan.most_requests:
        return f"The {plan.most_requests:,} requests of the plan are over"
    return ""


def _seen(segment: Segment) -> str:
    live, candidate = segment.live.seen.requests, segment.candidate.seen.requests
    return f"after {candidate:,} requests of the candidate and {live:,} of live"


def _sentence(found: Finding) -> str:
    return f"{found.said[0].upper()}{found.said[1:]}."


def _listed(names: Mapping[str, State]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def _the(arm: str) -> str:
    return "the candidate" if arm == "candidate" else arm


def next_move(word: Word, *, waited: bool, last: bool) -> Move:
    """What follows from a verdict at a share of the traffic.

    | verdict | before the step has had its time | after it | after it, at the last step |
    |---|---|---|---|
    | `abort`, `inconclusive` | back | back | back |
    | `hold` | stay | next | stay |
    | `promote` | stay | next | over |

    `back` gives all traffic to what is live, and `over` ends an experiment whose candidate wins.
    """
    if word in ("abort", "inconclusive"):
        return "back"
    if not waited:
        return "stay"
    if not last:
        return "next"
    return "over" if word == "promote" else "stay"
