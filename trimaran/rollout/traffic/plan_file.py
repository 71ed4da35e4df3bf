"""A plan that people write: a file, or a goal on the command line.

```toml
# plan.toml
answers = 0.1               # by how much the share of any answer may differ

[errors]
margin = 0.005
most = 0.02

[[goals]]
name = "accuracy"           # of predictions, from outcomes that 'trimaran feedback' records
margin = 0.03

[[goals]]
name = "sales"              # of clients, from 'trimaran experiment outcomes'
low = 0
high = 200
margin = 2
```

The keys are the fields of `Plan`, and each may be left out. A goal with bounds is a number between
them; without, each outcome is 0 or 1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from trimaran.rollout.experiments.plan import Errors, Goal, Latency, Plan
from trimaran.rollout.traffic.measures import LOWER_IS_BETTER, NATURAL
from trimaran.system.errors import TrimaranError, UsageError
from trimaran.system.toml_text import parse_toml, read_utf8, refuse_unknown, value_of

__all__ = ["parse_goal", "parse_plan", "read_plan"]

_MARGIN = 0.02
"""Of the distance between a goal's bounds."""
_NUMBER: tuple[type, ...] = (int, float)
_EXPECTED: Mapping[str, tuple[type | tuple[type, ...], str]] = {
    **dict.fromkeys(("inputs", "split", "binary", "higher_is_better"), (bool, "true or false")),
    "most_requests": (int, "a whole number"),
    "name": (str, "the goal's name in quotes"),
}
"""Types of fields; those of all others are numbers."""
_NOT_READ = ("steps", "errors", "latency", "goals", "agreement")


def read_plan(path: Path, base: Plan) -> Plan:
    """The plan in a file; what it leaves out is as in `base`. Raises `UsageError`."""
    try:
        return parse_plan(read_utf8(path), base)
    except TrimaranError as error:
        raise UsageError(f"{path}: {error}") from None


def parse_plan(text: str, base: Plan) -> Plan:
    """The plan in a text. Raises `TrimaranError` for the first thing wrong."""
    document = parse_toml(text)
    known = [each.name for each in fields(Plan)]
    refuse_unknown(document, [name for name in known if name != "agreement"])
    found = _values(document, [name for name in known if name not in _NOT_READ], "")
    if (steps := _steps(document)) is not None:
        found["steps"] = steps
    for name, kind in (("errors", Errors), ("latency", Latency)):
        if document.get(name) is False:
            found[name] = None
        elif (table := value_of(document, name, dict, f"a table [{name}], or false")) is not None:
            found[name] = replace(
                getattr(base, name) or kind(), **_fields(kind, table, f"[{name}]: ")
            )
    if (tables := value_of(document, "goals", list, "tables [[goals]]")) is not None:
        found["goals"] = tuple(map(_goal, tables))
    return replace(base, **found)


def parse_goal(text: str, margin: float | None) -> Goal:
    """A goal as `accuracy` or `sales:0:200`, whose margin is in points or in its own unit.

    Raises `UsageError` for anything else.
    """
    name, *bounds = text.split(":")
    numbers = [_number(each) for each in bounds]
    if len(bounds) not in (0, 2) or any(each is None for each in numbers):
        raise UsageError(
            f"--goal is {text!r}; name one, as accuracy, or with its bounds, as sales:0:200"
        )
    low, high = (numbers[0] or 0.0, numbers[1] or 0.0) if bounds else (0.0, 1.0)
    own = _MARGIN * (high - low) if margin is None else margin if bounds else margin / 100
    binary = not bounds and name not in NATURAL
    return Goal(name, own, None, name not in LOWER_IS_BETTER, binary, low, high)


def _goal(table: Any) -> Goal:
    if not isinstance(table, dict):
        raise TrimaranError(f"goals holds {table!r}; write each as a table [[goals]]")
    value_of(table, "name", str, "the goal's name in quotes", "[[goals]]: ", required=True)
    given = _fields(Goal, table, "[[goals]]: ")
    bounded = "low" in given or "high" in given or given["name"] in NATURAL
    low, high = given.get("low", 0.0), given.get("high", 1.0)
    defaults = {
        "binary": not bounded,
        "higher_is_better": given["name"] not in LOWER_IS_BETTER,
        "margin": _MARGIN * (high - low),
    }
    return Goal(**{**defaults, **given})


def _fields(kind: type[Errors | Latency | Goal], table: Mapping[str, Any], where: str) -> Any:
    names = [each.name for each in fields(kind)]
    refuse_unknown(table, names, where)
    return _values(table, names, where)


def _values(table: Mapping[str, Any], names: Sequence[str], where: str) -> dict[str, Any]:
    found = {}
    for name in names:
        types, expected = _EXPECTED.get(name, (_NUMBER, "a number"))
        value = value_of(table, name, types, expected, where)
        if value is not None:
            found[name] = float(value) if types is _NUMBER else value
    return found


def _steps(document: Mapping[str, Any]) -> tuple[float, ...] | None:
    steps = value_of(document, "steps", list, "a list of shares, such as [0.05, 0.25, 0.5]")
    if steps is None:
        return None
    if any(isinstance(each, bool) or not isinstance(each, int | float) for each in steps):
        raise TrimaranError(f"steps is {steps!r}; expected shares, such as [0.05, 0.25, 0.5]")
    return tuple(map(float, steps))


def _number(text: str) -> float | None:
    try:
        found = float(text)
    except ValueError:
        return None
    return found if math.isfinite(found) else None
