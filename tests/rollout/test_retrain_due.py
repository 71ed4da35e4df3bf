"""When a model is due to be trained again: the decision, the clock, and what the settings say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from trimaran.rollout.retrain_plan import Canary, Gates, RetrainPlan, Schedule, Triggers
from trimaran.rollout.retraining.due import Following, Known, Reason, counted_from, due
from trimaran.rollout.runs.settings import parse_settings
from trimaran.system.errors import TrimaranError

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
DRIFTED, STABLE = Reason(True, "calls drifted"), Reason(False, "nothing drifted")
UNKNOWN = Reason(None, "nobody watches")
NEXT, HELD = (Following("shop/2", "canary", awaits) for awaits in ("", "shop/3 goes on"))


def ago(days: float) -> datetime:
    return NOW - timedelta(days=days)


def known(since: float | None = 3, live: str | None = "shop/1", **more: object) -> Known:
    return Known(NOW, None if since is None else ago(since), live, **more)  # type: ignore[arg-type]


MONTHLY = RetrainPlan()
DAILY = RetrainPlan(Schedule("daily"))
NEVER = RetrainPlan(Schedule("never"), cool_down_s=7 * 86400)


@pytest.mark.parametrize(
    ("plan", "of", "is_due", "why"),
    [
        (DAILY, known(live=None), False, "no run is live"),
        (DAILY, known(frozen=True), False, "shop/1 is persisted, so it is frozen"),
        (DAILY, known(trained="shop/2"), False, "the data are those that shop/2 was trained on"),
        (DAILY, known(None), False, "the clock was set back; the time counts from now"),
        (DAILY, known(None, unfinished="shop/2"), True, "shop/2 was interrupted, and goes on"),
        (DAILY, known(0.5), False, "next by schedule on 2026-11-29"),
        (DAILY, known(1), True, "daily since 2026-11-27"),
        (MONTHLY, known(40, following=NEXT), True, "shop/2 passed its gates, and its canary is"),
        (MONTHLY, known(40, following=HELD), False, "the canary of shop/2 waits: shop/3 goes on"),
        (MONTHLY, known(frozen=True, following=NEXT), False, "shop/1 is persisted"),
        (MONTHLY, known(29), False, "next by schedule on 2026-11-30"),
        (MONTHLY, known(31), True, "monthly since 2026-10-28"),
        (MONTHLY, known(3, reasons=[STABLE, DRIFTED]), True, "calls drifted"),
        (MONTHLY, known(3, reasons=[UNKNOWN]), False, "on 2026-12-25; nobody watches"),
        (MONTHLY, known(0.5, reasons=[DRIFTED]), False, "rests until 2026-11-29 00:00 UTC: calls"),
        (MONTHLY, known(40, reasons=[DRIFTED]), True, "calls drifted; monthly since 2026-10-19"),
        (NEVER, known(400), False, "no schedule"),
        (NEVER, known(6.9, reasons=[DRIFTED]), False, "it rests until 2026-11-28 14:24 UTC"),
        (NEVER, known(7, reasons=[DRIFTED]), True, "calls drifted"),
    ],
)
def test_what_is_due_and_why(plan: RetrainPlan, of: Known, is_due: bool, why: str) -> None:
    found = due(plan, of)
    assert found.is_due is is_due
    assert why in found.why


@pytest.mark.parametrize(
    ("until", "after", "since"),
    [
        ([9, 3], [2], 3),
        ([9, 3, 20000], [], 3),  # the clock was at its beginning when it trained
        ([9, -300], [], None),  # it trained in what is now the future, and nothing came after
        ([9, -300], [-299, 2, 1], 2),
        ([1, -300], [20000], 1),
    ],
)
def test_a_clock_that_was_set_counts_neither_at_once_nor_never(
    until: list[float], after: list[float], since: float | None
) -> None:
    found = counted_from([ago(each) for each in until], [ago(each) for each in after], NOW)
    assert found == (None if since is None else ago(since))


@pytest.mark.parametrize(
    ("words", "last", "following"),
    [
        ("monthly", "2026-01-31", "2026-02-28"),
        ("monthly", "2026-12-05", "2027-01-05"),
        ("weekly", "2026-12-28", "2027-01-04"),
        ("every 36h", "2026-01-01", "2026-01-02T12:00"),
    ],
)
def test_what_follows_by_a_schedule(words: str, last: str, following: str) -> None:
    after = Schedule(words).after(datetime.fromisoformat(last))
    assert after == datetime.fromisoformat(following)


def test_the_settings_of_an_example() -> None:
    text = (
        '[shop.retrain]\nschedule = "every 10d"\ncool_down = "12h"\nmust = "match"\n'
        'then = "canary"\ncanary.steps = "10,100"\ncanary.plan = "plan.toml"\n'
        "margin = 0.02\n[shop.retrain.triggers]\ndrift = 0.3\nage = '90d'\n"
        "[shop.retrain.gates]\nslices = 0.1\nfolds = 5\n[other.retrain]\n[third]\n"
        "[fourth.retrain]\nthen = 'canary'\ncanary = {answers = 'yes.toml', longest = '3h'}\n"
    )
    plans = parse_settings(text, Path("at/rollout.toml")).plans
    tried = {"longest": "1d", "steps": "10,100", "plan": "at/plan.toml"}
    assert plans["shop"].retrain == RetrainPlan(
        Schedule("every 10d"),
        43200,
        False,
        0.02,
        Canary(tried),
        triggers=Triggers(0.3, None, 90 * 86400),
        gates=Gates(0.1, Gates.latency, 5),
    )
    assert plans["other"].retrain == RetrainPlan()
    assert plans["third"].retrain is None
    deployed = RetrainPlan(canary=Canary({"longest": "3h"}, Path("at/yes.toml")))
    assert plans["fourth"].retrain == deployed


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("schedul = 'daily'", "there is no key 'schedul'; did you mean 'schedule'?"),
        ("schedule = 'dayly'", "schedule is 'dayly'; did you mean 'daily'?"),
        ("schedule = 'every moon'", "after 'every', is 'moon'; expected a duration"),
        ("schedule = 'every 99y'", "schedule is 'every 99y'; expected ten years at most"),
        ("cool_down = 7", "cool_down is 7; expected a duration such as 12h or 30d, in quotes"),
        ("must = 'win'", "must is 'win'; choose from beat, match"),
        ("margin = -1", "margin is -1; expected a number of 0 or more"),
        ("margin = nan", "margin is nan; expected a number of 0 or more"),
        ("then = 'canery'", "then is 'canery'; did you mean 'canary'?"),
        ("canary.steps = '5,100'", "nothing begins a canary; write then = 'canary', or remove"),
        ("then = 'canary'\ncanary.answers = 3", "answers is 3; expected a file, in quotes"),
        ("triggers = 1", r"triggers is 1; expected a table \[shop.retrain.triggers\]"),
        ("triggers.drift = true", "drift is True; expected a number"),
        ("gates.folds = 1", "folds is 1; expected 2 to 20, or 0"),
        ("gates.speed = 1", r"\[shop.retrain.gates\]: there is no key 'speed'"),
    ],
)
def test_a_mistake_in_the_settings_is_named(text: str, says: str) -> None:
    with pytest.raises(TrimaranError, match=says):
        parse_settings(f"[shop.retrain]\n{text}\n", Path("rollout.toml"))
