"""When a model is trained again, and what the new run must be: `[NAME.retrain]` of `rollout.toml`.

```toml
[churn.retrain]
schedule = "monthly"        # daily, weekly, "every 10d" or never; the default is monthly
cool_down = "1d"            # at least so long after the last training; the default
then = "canary"             # what follows a run that passes; the default is pending
must = "beat"               # the live run, or match it within the margin; the default
margin = 0.01               # the default

[churn.retrain.triggers]    # reasons to train sooner; none by default
drift = 0.2                 # a population stability index
accuracy = 0.85             # the least value of the main metric, or the most of an error
age = "90d"                 # of the newest rows that the live run knows

[churn.retrain.gates]
slices = 0.05               # by how much the metric of a group may fall; the default
latency = 1.5               # times the live model's; the default
folds = 5                   # cross-validation too; the default is none

[churn.retrain.canary]      # options of 'trimaran canary', and answers; each may be left out
steps = "10,50,100"
longest = "6h"              # the default here is 1d
answers = "approved.toml"   # a run that wins is reviewed by these, and deployed; else it waits
```

A bound on a metric that has no most, such as the MAE, is a share of the live run's value.
"""

from __future__ import annotations

import calendar
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from trimaran.system.durations import seconds_of
from trimaran.system.errors import TrimaranError
from trimaran.system.toml_text import nearest, refuse_unknown, value_of

__all__ = ["NEVER", "Canary", "Gates", "RetrainPlan", "Schedule", "Triggers", "retrain_plan"]

NEVER, _MONTHLY, _EVERY = "never", "monthly", "every "
_DAYS: Mapping[str, int] = {"daily": 1, "weekly": 7}
_BEAT, _MATCH = "beat", "match"
_PENDING, _CANARY = "pending", "canary"
_ANSWERS, _PLAN = "answers", "plan"
_LONGEST: Mapping[str, Any] = {"longest": "1d"}
"""Of a canary that nobody watches."""
_LONGEST_S = 10 * 365 * 86400.0
_MONTHS = 12
_MOST_FOLDS = 20


@dataclass(frozen=True)
class Schedule:
    """How often: `daily`, `weekly`, `monthly`, `every 10d` or `never`."""

    words: str = _MONTHLY

    def after(self, last: datetime) -> datetime | None:
        """The time that follows `last`; a month has the same day, or its last. None for never."""
        if self.words == NEVER:
            return None
        if self.words == _MONTHLY:
            return _month_after(last)
        if self.words in _DAYS:
            return last + timedelta(days=_DAYS[self.words])
        return last + timedelta(seconds=seconds_of(self.words.removeprefix(_EVERY), "schedule"))


@dataclass(frozen=True)
class Triggers:
    """Reasons to train sooner; None for one that is not asked for."""

    drift: float | None = None
    """A feature's population stability index, which the whole interval must exceed."""
    accuracy: float | None = None
    """The bound of the main metric, beyond which the whole interval must lie."""
    age_s: float | None = None
    """Of the newest rows that the live run knows."""


@dataclass(frozen=True)
class Gates:
    """What a new run must keep."""

    slices: float = 0.05
    """How much the main metric of a group of rows may fall."""
    latency: float = 1.5
    """How many times the live model's latency its own may be."""
    folds: int = 0
    """Folds to cross-validate with; 0 for none."""


@dataclass(frozen=True)
class Canary:
    """How a run that passes is tried on live traffic."""

    options: Mapping[str, Any]
    """Of `trimaran canary`, as they are written."""
    answers: Path | None = None
    """The checklist's answers with which what wins is deployed; None where it waits."""


@dataclass(frozen=True)
class RetrainPlan:
    """One `[NAME.retrain]`."""

    schedule: Schedule = Schedule()
    cool_down_s: float = 86400.0
    must_beat: bool = True
    """Whether a run must be better than the live one; else not worse than it by the margin."""
    margin: float = 0.01
    """What counts as no worse."""
    canary: Canary | None = None
    """What a run that passes goes on to; None where it waits as pending."""
    triggers: Triggers = Triggers()
    gates: Gates = Gates()


def retrain_plan(table: Mapping[str, Any], name: str, folder: Path) -> RetrainPlan:
    """What `[NAME.retrain]` of a file in a folder says.

    Raises `TrimaranError` for the first thing wrong.
    """
    where = f"[{name}.retrain]: "
    refuse_unknown(
        table,
        ("schedule", "cool_down", "then", "must", "margin", "triggers", "gates", _CANARY),
        where,
    )
    default = RetrainPlan()
    cool_down_s = _span(table, "cool_down", where)
    margin = _number(table, "margin", where)
    return RetrainPlan(
        _schedule(table, where),
        default.cool_down_s if cool_down_s is None else cool_down_s,
        _word(table, "must", (_BEAT, _MATCH), where) != _MATCH,
        default.margin if margin is None else margin,
        _canary(table, name, folder),
        _triggers(_part(table, "triggers", name), f"[{name}.retrain.triggers]: "),
        _gates(_part(table, "gates", name), f"[{name}.retrain.gates]: "),
    )


def _canary(table: Mapping[str, Any], name: str, folder: Path) -> Canary | None:
    given = _part(table, _CANARY, name)
    if _word(table, "then", (_PENDING, _CANARY), f"[{name}.retrain]: ") != _CANARY:
        if given:
            raise TrimaranError(
                f"[{name}.retrain]: there is a table [{name}.retrain.{_CANARY}], and nothing "
                f"begins a canary; write then = {_CANARY!r}, or remove the table"
            )
        return None
    where = f"[{name}.retrain.{_CANARY}]: "
    answers, plan = (
        value_of(given, key, str, "a file, in quotes", where) for key in (_ANSWERS, _PLAN)
    )
    options = {key: value for key, value in given.items() if key != _ANSWERS}
    if plan is not None:
        options[_PLAN] = str(folder / plan)
    return Canary({**_LONGEST, **options}, None if answers is None else folder / answers)


def _triggers(table: Mapping[str, Any], where: str) -> Triggers:
    refuse_unknown(table, ("drift", "accuracy", "age"), where)
    return Triggers(
        _number(table, "drift", where),
        _number(table, "accuracy", where),
        _span(table, "age", where),
    )


def _gates(table: Mapping[str, Any], where: str) -> Gates:
    refuse_unknown(table, ("slices", "latency", "folds"), where)
    slices, latency = (_number(table, key, where) for key in ("slices", "latency"))
    folds = value_of(table, "folds", int, "a number of folds", where)
    if folds is not None and not (folds == 0 or 2 <= folds <= _MOST_FOLDS):
        raise TrimaranError(
            f"{where}folds is {folds}; expected 2 to {_MOST_FOLDS}, or 0 for no cross-validation"
        )
    return Gates(
        Gates.slices if slices is None else slices,
        Gates.latency if latency is None else latency,
        folds or 0,
    )


def _schedule(table: Mapping[str, Any], where: str) -> Schedule:
    words = value_of(table, "schedule", str, "text in quotes", where)
    if words is None:
        return Schedule()
    known = (*_DAYS, _MONTHLY, NEVER)
    if words.startswith(_EVERY):
        span = words.removeprefix(_EVERY).strip()
        _bounded(seconds_of(span, f"{where}schedule, after 'every',"), f"{where}schedule", words)
        return Schedule(_EVERY + span)
    if words not in known:
        raise TrimaranError(
            f"{where}schedule is {words!r}; {nearest(words, (*known, 'every 10d'))}"
        )
    return Schedule(words)


def _part(table: Mapping[str, Any], key: str, name: str) -> Mapping[str, Any]:
    expected = f"a table [{name}.retrain.{key}]"
    return value_of(table, key, dict, expected, f"[{name}.retrain]: ") or {}


def _word(table: Mapping[str, Any], key: str, words: Sequence[str], where: str) -> str | None:
    word: str | None = value_of(table, key, str, f"one of {', '.join(words)}", where)
    if word is not None and word not in words:
        raise TrimaranError(f"{where}{key} is {word!r}; {nearest(word, words)}")
    return word


def _number(table: Mapping[str, Any], key: str, where: str) -> float | None:
    """A number of 0 or more."""
    found = value_of(table, key, (int, float), "a number", where)
    if found is None:
        return None
    if not 0 <= found < float("inf"):  # also not a number
        raise TrimaranError(f"{where}{key} is {found}; expected a number of 0 or more")
    return float(found)


def _span(table: Mapping[str, Any], key: str, where: str) -> float | None:
    text = value_of(table, key, str, "a duration such as 12h or 30d, in quotes", where)
    if text is None:
        return None
    return _bounded(seconds_of(text, where + key), where + key, text)


def _bounded(seconds: float, what: str, text: str) -> float:
    if seconds > _LONGEST_S:
        raise TrimaranError(f"{what} is {text!r}; expected ten years at most")
    return seconds


def _month_after(last: datetime) -> datetime:
    month = last.month % _MONTHS + 1
    year = last.year + (last.month == _MONTHS)
    return last.replace(
        year=year, month=month, day=min(last.day, calendar.monthrange(year, month)[1])
    )
