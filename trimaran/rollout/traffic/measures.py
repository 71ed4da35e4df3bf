"""What of a prediction with a known outcome can be a goal, by the task of its model.

| goal | of which models | value of a prediction |
|---|---|---|
| `accuracy` | classes | 1 if it was right: of several answers the first |
| `precision` | two classes | of those decided as positive, 1 if it was |
| `recall` | two classes | of those that were positive, 1 if it was decided so |
| `brier` | two classes | the squared error of its probability |
| `among` | over 100 classes | 1 if the true class is one of the answers |
| `error` | numbers | its absolute error; what is beyond the goal's bounds counts as the bound |
| `held` | numbers | 1 if the interval held the number |
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from trimaran.rollout.experiments.plan import Goal
from trimaran.served.judging import BinaryJudge, ClassJudge, Judge, NumberJudge, RankedJudge
from trimaran.system.errors import UsageError

__all__ = ["BOUNDED", "LOWER_IS_BETTER", "MEASURES", "NATURAL", "check_measured", "measure_of"]

Measure = Callable[[float, Any, Any], float | None]
"""Of a probability, a decision and an outcome as `Judge` keeps them; None where it has no value."""


def _accuracy(probability: float, decided: Any, outcome: Any) -> float:
    del probability
    return float(decided == outcome)


def _precision(probability: float, decided: Any, outcome: Any) -> float | None:
    del probability
    return float(outcome) if decided else None


def _recall(probability: float, decided: Any, outcome: Any) -> float | None:
    del probability
    return float(decided) if outcome else None


def _brier(probability: float, decided: Any, outcome: Any) -> float:
    del decided
    return (probability - outcome) ** 2


def _first(probability: float, decided: Any, outcome: Any) -> float:
    del probability
    return float(json.loads(decided)[0] == json.loads(outcome))


def _among(probability: float, decided: Any, outcome: Any) -> float:
    del probability
    return float(json.loads(outcome) in json.loads(decided))


def _error(probability: float, decided: Any, outcome: Any) -> float:
    del probability
    return float(abs(json.loads(decided)[0] - outcome))


def _held(probability: float, decided: Any, outcome: Any) -> float:
    del probability
    _, low, high = json.loads(decided)
    return float(low <= outcome <= high)


_BY_JUDGE: Mapping[type, Mapping[str, Measure]] = {
    BinaryJudge: {
        "accuracy": _accuracy,
        "precision": _precision,
        "recall": _recall,
        "brier": _brier,
    },
    ClassJudge: {"accuracy": _accuracy},
    RankedJudge: {"accuracy": _first, "among": _among},
    NumberJudge: {"error": _error, "held": _held},
}
MEASURES = frozenset(name for each in _BY_JUDGE.values() for name in each)
"""Goals by these names are of predictions; any other is of clients."""
BOUNDED = frozenset({"brier", "error"})
"""Those between two bounds. All others are 0 or 1."""
NATURAL = frozenset({"brier"})
"""Those of them that are between 0 and 1 by themselves."""
LOWER_IS_BETTER = BOUNDED


def check_measured(model: str, goal: Goal, judge: Judge) -> None:
    """Raise `UsageError` for a goal of predictions that a model's task does not have."""
    known = _BY_JUDGE[type(judge)]
    if goal.name not in known:
        raise UsageError(
            f"the predictions of {model} have no {goal.name}; they have {', '.join(known)}"
        )
    if goal.binary is (goal.name in BOUNDED):
        kind = "between two bounds" if goal.name in BOUNDED else "0 or 1"
        raise UsageError(
            f"{goal.name} of a prediction is {kind}; write the goal as "
            + (f"{goal.name}:0:100, with its bounds" if goal.name in BOUNDED else goal.name)
        )


def measure_of(goal: Goal, judge: Judge) -> Measure:
    """The value of a prediction for a goal, within the goal's bounds."""
    found = _BY_JUDGE[type(judge)][goal.name]

    def within(probability: float, decided: Any, outcome: Any) -> float | None:
        value = found(probability, decided, outcome)
        return None if value is None else min(max(value, goal.low), goal.high)

    return within
