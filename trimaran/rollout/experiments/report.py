"""The page of an experiment: the decision, the intervals over time, the arms, the sample ratio."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from trimaran.pages.figures import (
    ACCENT,
    INK,
    LINE,
    NEGATIVE,
    PANEL,
    POSITIVE,
    Look,
    label,
    plain_axes,
)
from trimaran.pages.page import Cell, Kind, Page, badge, beside, facts, figure, legend, table, text
from trimaran.rollout.experiments.course import Course
from trimaran.rollout.experiments.course import Look as Seen
from trimaran.rollout.experiments.finding import Finding
from trimaran.rollout.experiments.verdict import Verdict, findings
from trimaran.stats.anytime import Bounded
from trimaran.stats.anytime_quantiles import quantile

__all__ = ["report"]

_KINDS: dict[str, Kind] = {
    "promote": "good",
    "abort": "error",
    "inconclusive": "warning",
    "hold": "plain",
    "met": "good",
    "broken": "error",
    "short": "warning",
    "open": "plain",
}
_NAMES = {"canary": "canary", "shadow": "shadow", "ab": "A/B"}


def report(course: Course, said: Verdict, answers: Sequence[Markup] = ()) -> str:
    """The HTML of an experiment's page. `said` is its decision, or its verdict until now.

    `answers` are the blocks about the answers that a shadow has compared.
    """
    state = course.state
    releases = f"release {state.releases['candidate']} against release {state.releases['live']}"
    page = Page(f"{state.name}: {_NAMES[state.kind]}", f"{releases}, since {_shown(state.began)}")
    page.section("Verdict", *_verdict(course, said))
    page.section("Checks", *_checks(course))
    if answers:
        page.section("Answers", *answers)
    page.section("Over time", *_over_time(course))
    page.section("Arms", *_arms(course))
    if state.notes:
        page.section("Notes", *(text(each, "warning") for each in state.notes))
    return page.html()


def _verdict(course: Course, said: Verdict) -> Iterator[Markup]:
    state = course.state
    yield text(said.why, _KINDS[said.word])
    seen = [arm.seen for each in state.segments for arm in (each.live, each.candidate)]
    yield facts(
        [
            ("decision" if state.decision else "verdict until now", said.word),
            ("requests of the candidate", sum(each.requests for each in seen[1::2])),
            ("requests of live", sum(each.requests for each in seen[::2])),
            ("candidate's share", f"{state.segment.share:.3g}"),
            ("duration", _duration(state.elapsed_s)),
        ]
    )
    if state.decision:
        yield text(f"Decided by {state.decided_by} at {_shown(state.decided_at)}.")
    if not any(each.requests for each in seen):
        yield text("Nothing was seen yet.", "warning")


def _checks(course: Course) -> Iterator[Markup]:
    state = course.state
    found = findings(state.plan, state.segments)
    yield table(
        ["check", "live", "candidate", "compared", "interval", "bound", "state"],
        [[each.name, *each.figures(), badge(each.state, _KINDS[each.state])] for each in found],
    )
    yield from (text(f"{each.said[0].upper()}{each.said[1:]}.") for each in found)
    yield text(
        f"With a probability of {100 * (1 - state.plan.alpha):.3g} % no interval of this "
        "experiment is wrong at any look. The checks, and the stretches with other weights, have "
        f"their parts of the other {100 * state.plan.alpha:.3g} %."
    )


def _over_time(course: Course) -> Iterator[Markup]:
    if not course.looks:
        yield text("There was no look yet.")
        return
    yield legend(
        [
            ("what was seen, in its interval", Look(NEGATIVE)),
            ("what the plan allows or asks for", Look(POSITIVE, "--")),
            ("no difference", Look(ACCENT, ":")),
        ]
    )
    places = zip(*(each.findings for each in course.looks), strict=True)
    yield beside(
        *(
            _figure(course, place, found[0].name)
            for place, found in enumerate(places)
            if any(map(_is_seen, found))
        )
    )


def _is_seen(found: Finding) -> bool:
    return not math.isnan(found.value)


def _figure(course: Course, place: int, name: str) -> Markup:
    looks = course.looks
    last = looks[-1].findings[place]
    drawn = Figure(figsize=(PANEL, 2.5), layout="constrained")
    axes: Any = drawn.subplots()
    plain_axes(axes)
    segments = [list(group) for _, group in groupby(looks, key=lambda each: each.segment)]
    limits = _limits([each.findings[place] for each in segments[-1]])
    for segment in segments:
        _draw(axes, segment, place, limits)
    axes.axhline(_scaled(last, last.bound), color=POSITIVE, linewidth=1.4, linestyle="--")
    if last.live is not None:
        axes.axhline(_scaled(last, _no_difference(last)), color=ACCENT, linewidth=1.4, ls=":")
    for before in segments[:-1]:
        axes.axvline(before[-1].requests, color=LINE, linewidth=1)
    axes.set_ylim(*limits)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=4))
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.set_xlabel("requests of the candidate")
    axes.set_ylabel(_unit(last))
    axes.set_title(label(name), loc="left", fontsize=11, color=INK)
    return figure(drawn, _meaning(last), f"{name} with its interval, by requests")


def _draw(axes: Any, looks: Sequence[Seen], place: int, limits: tuple[float, float]) -> None:
    """What lies within the limits, since what is hidden beyond them would still cross texts."""
    found = [each.findings[place] for each in looks]
    at = [each.requests for each in looks]
    low, high = limits
    if not _is_e_value(found[0]):
        bounds = (
            [
                min(max(_scaled(each, bound), low), high)
                for each, bound in zip(found, ends, strict=True)
            ]
            for ends in ([each.low for each in found], [each.high for each in found])
        )
        axes.fill_between(at, *bounds, color=NEGATIVE, alpha=0.22, linewidth=0)
    values = [_scaled(each, each.value) for each in found]
    shown = [value if low <= value <= high else math.nan for value in values]
    axes.plot(at, shown, color=NEGATIVE, linewidth=1.6, marker="o" if len(at) == 1 else "")


def _limits(found: Sequence[Finding]) -> tuple[float, float]:
    """So much of the vertical axis that the later half of the intervals fits."""
    later, last = found[len(found) // 2 :], found[-1]
    shown = [each.value for each in later] + [last.bound]
    if last.live is not None:
        shown.append(_no_difference(last))
    if not _is_e_value(last):
        shown += [bound for each in later for bound in (each.low, each.high)]
    finite = [_scaled(last, each) for each in shown if math.isfinite(each)]
    low, high = min(finite), max(finite)
    room = (high - low) * 0.08 or 1.0
    return low - room, high + room


def _scaled(found: Finding, value: float) -> float:
    """A figure in the unit of its axis; what is unbounded is far outside of it."""
    if _is_e_value(found):
        return math.log10(max(value, 1e-12)) if value == value else math.nan
    return min(max(value * found.scale.factor, -1e6), 1e6)


def _no_difference(found: Finding) -> float:
    return 1.0 if found.scale.of_difference == "times" else 0.0


def _is_e_value(found: Finding) -> bool:
    return found.candidate is None and found.live is None and found.name == "inputs"


def _unit(found: Finding) -> str:
    if _is_e_value(found):
        return "powers of ten"
    compared = found.live is not None
    return found.scale.of_difference if compared else found.scale.unit


def _meaning(found: Finding) -> str:
    if _is_e_value(found):
        return "The e-value, which gives the alarm where it reaches the dashed line."
    if found.scale.of_difference == "times":
        return "The candidate's divided by live's."
    if found.live is not None:
        return "The candidate's less live's."
    return "The candidate's own."


def _arms(course: Course) -> Iterator[Markup]:
    state = course.state
    quantiles = [0.5, state.plan.latency.quantile] if state.plan.latency else []
    rows: list[list[Cell]] = []
    for number, segment in enumerate(state.segments, start=1):
        for name, arm in (("live", segment.live), ("candidate", segment.candidate)):
            rest = 1 - segment.share if state.plan.split else segment.share
            share = segment.share if name == "candidate" else rest
            seen = arm.seen
            row: list[Cell] = [number, f"{share:.3g}", name]
            row += [seen.requests, seen.errors, seen.units]
            row += [1000 * quantile(seen.latencies, each, 0.05).value for each in quantiles]
            for goal in state.plan.goals:
                outcome = arm.outcomes.get(goal.name, Bounded())
                mean = goal.low + outcome.value * (goal.high - goal.low)
                row += [outcome.count, mean if outcome.count else None]
            rows.append(row)
    yield table(
        [
            *("stretch", "share", "arm", "requests", "errors", "units"),
            *(f"p{100 * each:g}, ms" for each in quantiles),
            *(
                heading
                for goal in state.plan.goals
                for heading in (f"outcomes of {goal.name}", f"mean {goal.name}")
            ),
        ],
        rows,
    )
    if len(state.segments) > 1:
        yield text(
            "A stretch has the same weights throughout. Its statistics begin anew, because an arm "
            "that got more of its traffic in a bad hour would look worse than it is."
        )


def _shown(time: str) -> str:
    return f"{time[:16].replace('T', ' ')} UTC"


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 2:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:.1f} h"
