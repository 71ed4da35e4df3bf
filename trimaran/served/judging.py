"""How predictions are judged once their outcome is known, by task: see `answers.py`.

| task | outcome | totals `outcomes` by cell |
|---|---|---|
| `binary` | BOOL, or the text of one of two | `true_positive`, `false_positive` and so on |
| `multiclass` | BYTES, a class | of each class A: `right:A`, `missed:A`, `false:A` |
| the same, of more than 100 classes | BYTES, a class | `first`, `among` the answers, `neither` |
| `regression` | FP32 | `held` and `outside` its interval, `absolute_error`, `squared_error` |

A reference has the same totals of the test part.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from trimaran.served.answers import LABELS, read_labels
from trimaran.served.refusal import RefusedError, shown

__all__ = [
    "BINS",
    "CELLS",
    "NUMBER_CELLS",
    "RANKED_CELLS",
    "BinaryJudge",
    "ClassJudge",
    "Judge",
    "NumberJudge",
    "RankedJudge",
    "Stored",
    "Total",
    "class_cells",
    "class_totals",
    "probability_bin",
    "read_judge",
]

CELLS = ("true_positive", "false_positive", "true_negative", "false_negative")
NUMBER_CELLS = ("held", "outside", "absolute_error", "squared_error")
RANKED_CELLS = ("first", "among", "neither")
BINS = 10
"""Equal bins of the probability, for calibration."""

_CLASS_CELLS = ("right", "missed", "false")
_MOST_CLASSES = 100
"""Each has three series in Prometheus."""
_TASK = "task"

Total = tuple[str, str]
"""Name and place of a total."""
Stored = int | float | str
"""A prediction or an outcome, as the file of outcomes keeps it."""


class Judge(Protocol):
    """How one task's predictions are judged."""

    def prediction(self, output: Mapping[str, Any]) -> tuple[float, Stored]:
        """A logged output's probability, and its decision. Raises `KeyError` and the like."""
        ...

    def outcome(self, given: Any) -> Stored:
        """An outcome as it is kept. Raises `RefusedError` for one that cannot be."""
        ...

    def totals(self) -> Iterator[Total]:
        """Everything that is counted: each is known as 0 before it is first counted."""
        ...

    def counts(
        self, probability: float, decided: Any, outcome: Any
    ) -> Iterator[tuple[Total, float]]:
        """What a prediction with a known outcome adds."""
        ...


class BinaryJudge:
    """A decision and its probability, whose outputs have these names.

    With `labels`, the negative and the positive one, decisions and outcomes are one of them.
    """

    def __init__(self, probability: str, decision: str, labels: Sequence[str] = ()) -> None:
        self._probability, self._decision, self._labels = probability, decision, labels

    def prediction(self, output: Mapping[str, Any]) -> tuple[float, Stored]:
        """The probability, and 1 or 0."""
        decided = output[self._decision]
        number = self._labels.index(decided) if self._labels else int(bool(decided))
        return float(output[self._probability]), number

    def outcome(self, given: Any) -> Stored:
        """1 or 0."""
        return self._labels.index(_known(given, self._labels)) if self._labels else int(bool(given))

    def totals(self) -> Iterator[Total]:
        """The cells; positives and probabilities by bin; the squared error."""
        for cell in CELLS:
            yield "outcomes", cell
        for place in range(BINS):
            for name in ("positives", "probability"):
                yield name, probability_bin(place / BINS)
        yield "squared_error", ""

    def counts(
        self, probability: float, decided: Any, outcome: Any
    ) -> Iterator[tuple[Total, float]]:
        """One cell, and what calibration and Brier's score need."""
        right = "true" if bool(decided) == bool(outcome) else "false"
        place = probability_bin(probability)
        yield ("outcomes", f"{right}_{'positive' if decided else 'negative'}"), 1.0
        yield ("positives", place), float(outcome)
        yield ("probability", place), probability
        yield ("squared_error", ""), (probability - outcome) ** 2


class ClassJudge:
    """A class of several, the first where it is a ranking, whose output has this name."""

    def __init__(self, prediction: str, classes: Sequence[str]) -> None:
        self._prediction, self._classes = prediction, classes

    def prediction(self, output: Mapping[str, Any]) -> tuple[float, Stored]:
        """No probability, and the class; JSON, since SQLite would make a number of `01`."""
        found = output[self._prediction]
        return 0.0, json.dumps(str(found[0] if isinstance(found, list) else found))

    def outcome(self, given: Any) -> Stored:
        """The class as JSON."""
        return json.dumps(_known(given, self._classes))

    def totals(self) -> Iterator[Total]:
        """The cells of each class."""
        for each in self._classes:
            for cell in class_cells(each):
                yield "outcomes", cell

    def counts(
        self, probability: float, decided: Any, outcome: Any
    ) -> Iterator[tuple[Total, float]]:
        """A right one, or a missed one and a false one."""
        del probability
        right, missed, _ = class_cells(json.loads(outcome))
        if decided == outcome:
            yield ("outcomes", right), 1.0
        else:
            yield ("outcomes", missed), 1.0
            yield ("outcomes", class_cells(json.loads(decided))[2]), 1.0


class RankedJudge:
    """The place of the true one of many classes in a ranking, whose output has this name."""

    def __init__(self, prediction: str, classes: Sequence[str]) -> None:
        self._prediction, self._classes = prediction, frozenset(classes)

    def prediction(self, output: Mapping[str, Any]) -> tuple[float, Stored]:
        """No probability, and the classes as JSON."""
        found = output[self._prediction]
        return 0.0, json.dumps(found if isinstance(found, list) else [found])

    def outcome(self, given: Any) -> Stored:
        """The class as JSON."""
        return json.dumps(_known(given, self._classes))

    def totals(self) -> Iterator[Total]:
        """The cells."""
        for cell in RANKED_CELLS:
            yield "outcomes", cell

    def counts(
        self, probability: float, decided: Any, outcome: Any
    ) -> Iterator[tuple[Total, float]]:
        """One cell."""
        del probability
        ranking, true = json.loads(decided), json.loads(outcome)
        place = 0 if true == ranking[0] else 1 if true in ranking else 2
        yield ("outcomes", RANKED_CELLS[place]), 1.0


class NumberJudge:
    """A number with its interval, whose outputs have these names."""

    def __init__(self, value: str, low: str, high: str) -> None:
        self._names = value, low, high

    def prediction(self, output: Mapping[str, Any]) -> tuple[float, Stored]:
        """No probability, and the three numbers as JSON."""
        return 0.0, json.dumps([float(output[name]) for name in self._names])

    def outcome(self, given: Any) -> Stored:
        """The number."""
        number = float(given)
        if not math.isfinite(number):
            raise RefusedError(f"the outcome is {number}; expected a finite number")
        return number

    def totals(self) -> Iterator[Total]:
        """The cells."""
        for cell in NUMBER_CELLS:
            yield "outcomes", cell

    def counts(
        self, probability: float, decided: Any, outcome: Any
    ) -> Iterator[tuple[Total, float]]:
        """Whether the interval held it, and its error."""
        del probability
        value, low, high = json.loads(decided)
        yield ("outcomes", "held" if low <= outcome <= high else "outside"), 1.0
        yield ("outcomes", "absolute_error"), abs(value - outcome)
        yield ("outcomes", "squared_error"), (value - outcome) ** 2


def _known(given: Any, classes: Collection[str]) -> str:
    """An outcome as one of the classes. Raises `RefusedError`."""
    name = given.decode(errors="replace") if isinstance(given, bytes) else str(given)
    if name in classes:
        return name
    known = f"classes: {', '.join(classes)}"
    if len(classes) > _MOST_CLASSES:
        known = f"{LABELS} of the published model has the {len(classes):,} classes"
    raise RefusedError(f"the outcome {shown(name)} is no class; {known}")


def class_cells(label: str) -> tuple[str, str, str]:
    """The cells of a class: right ones, missed ones, and others that were taken for it."""
    right, missed, false = (f"{cell}:{label}" for cell in _CLASS_CELLS)
    return right, missed, false


def class_totals(labels: Sequence[str], confusion: Sequence[Sequence[int]]) -> dict[str, float]:
    """The cells of a test part, from its rows by true class and decided class."""
    found: dict[str, float] = {}
    for place, label in enumerate(labels):
        right, decided = confusion[place][place], sum(row[place] for row in confusion)
        counts = right, sum(confusion[place]) - right, decided - right
        found.update(zip(class_cells(label), counts, strict=True))
    return found


def probability_bin(probability: float) -> str:
    """The bin's name: from its least probability to the next bin's."""
    place = min(int(probability * BINS), BINS - 1)
    return f"{place / BINS:g} to {(place + 1) / BINS:g}"


def read_judge(parameters: Mapping[str, str], directory: Path) -> Judge:
    """The judge of a feedback model with these parameters, whose version is in `directory`.

    The parameter `task` names the task, binary without one; the others name the outputs.
    """
    labels = directory / LABELS
    classes = read_labels(labels) if labels.is_file() else ()
    return _BY_TASK[parameters.get(_TASK, "binary")](parameters, classes)


def _class_judge(given: Mapping[str, str], classes: Sequence[str]) -> Judge:
    judge = ClassJudge if len(classes) <= _MOST_CLASSES else RankedJudge
    return judge(given["prediction"], classes)


_BY_TASK: Mapping[str, Callable[[Mapping[str, str], Sequence[str]], Judge]] = {
    "binary": lambda given, labels: BinaryJudge(given["probability"], given["decision"], labels),
    "multiclass": _class_judge,
    "regression": lambda given, _: NumberJudge(given["value"], given["low"], given["high"]),
}
