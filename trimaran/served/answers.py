"""What a model of records answers, by its task.

| task | outputs of the model `<name>` |
|---|---|
| `binary` | `<name>_probability` FP32 `[1]`, `<name>_prediction` BOOL `[1]` |
| `multiclass` | `<name>_probability` FP32 `[classes]`, `<name>_prediction` BYTES `[1]`, a class |
| `regression` | `<name>_value`, `<name>_low`, `<name>_high`, each FP32 `[1]` |

The network's outputs have the same names without `<name>_`, and the class's number instead of its
text, INT64 `[1]`.

The classes are in `labels.txt` of the version, one a line, in the order of the probabilities. A
model's parameter `task` names its task; without one it is binary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

__all__ = [
    "LABELS",
    "Answers",
    "BinaryAnswers",
    "ClassAnswers",
    "NumberAnswers",
    "answers_of",
    "plain",
    "read_answers",
    "read_labels",
]

LABELS = "labels.txt"
_PARAMETER = "task"
Arrays = Sequence[npt.NDArray[Any]]


@dataclass(frozen=True)
class Answers:
    """The answers of one task."""

    task: ClassVar[str]
    outcome: ClassVar[str]
    """The datatype of an outcome."""
    network: ClassVar[Sequence[str]]
    """The names of the network's outputs, in the order of the model's."""

    judged: ClassVar[Mapping[str, str]]
    """What of an answer is judged, by the names of `judging.py`."""

    def outputs(self, name: str) -> list[tuple[str, str, int]]:
        """The outputs of the model `name`: name, datatype, and values of a row."""
        raise NotImplementedError

    def values(self, found: Arrays) -> Arrays:
        """The network's outputs, in order, as the model's."""
        return found

    def counted(self, found: Arrays) -> Arrays:
        """A value for each row `[rows, 1]` of each answer in `reference.json`."""
        return found

    def files(self) -> dict[str, bytes]:
        """Files that a version directory needs."""
        return {}

    def parameters(self) -> dict[str, str]:
        """Parameters that the model's configuration needs."""
        return {_PARAMETER: self.task}


@dataclass(frozen=True)
class BinaryAnswers(Answers):
    """A probability and a decision."""

    task = "binary"
    outcome = "BOOL"
    judged = {"probability": "probability", "decision": "prediction"}  # noqa: RUF012
    network = ("probability", "prediction")

    def outputs(self, name: str) -> list[tuple[str, str, int]]:
        """See `Answers`."""
        return [(f"{name}_probability", "FP32", 1), (f"{name}_prediction", "BOOL", 1)]

    def parameters(self) -> dict[str, str]:
        """None: a model without the parameter is binary."""
        return {}


@dataclass(frozen=True)
class ClassAnswers(Answers):
    """The probability of each class, and the most probable class."""

    classes: tuple[str, ...]
    task = "multiclass"
    outcome = "BYTES"
    judged = {"prediction": "prediction"}  # noqa: RUF012
    network = ("probability", "prediction")

    def outputs(self, name: str) -> list[tuple[str, str, int]]:
        """See `Answers`."""
        probabilities = (f"{name}_probability", "FP32", len(self.classes))
        return [probabilities, (f"{name}_prediction", "BYTES", 1)]

    def values(self, found: Arrays) -> Arrays:
        """The class as text instead of its number."""
        probability, number = found
        texts = np.array([each.encode() for each in self.classes], dtype=np.object_)
        return probability, texts[number]

    def counted(self, found: Arrays) -> Arrays:
        """The probability of the most probable class, and its number."""
        probability, number = found
        return probability.max(axis=1, keepdims=True), number

    def files(self) -> dict[str, bytes]:
        """The classes."""
        return {LABELS: "".join(f"{each}\n" for each in self.classes).encode()}


@dataclass(frozen=True)
class NumberAnswers(Answers):
    """A number, and the bounds of its interval."""

    task = "regression"
    outcome = "FP32"
    judged = {"value": "value", "low": "low", "high": "high"}  # noqa: RUF012
    network = ("value", "low", "high")

    def outputs(self, name: str) -> list[tuple[str, str, int]]:
        """See `Answers`."""
        return [(f"{name}_{each}", "FP32", 1) for each in self.network]

    def counted(self, found: Arrays) -> Arrays:
        """The number."""
        return found[:1]


_BY_TASK: dict[str, type[Answers]] = {
    each.task: each for each in (BinaryAnswers, ClassAnswers, NumberAnswers)
}


def answers_of(task: Mapping[str, Any]) -> Answers:
    """The answers of a task as a run's schema describes it. Raises `KeyError` for another one."""
    kind = _BY_TASK[task["task"]]
    classes = task.get("classes")
    return kind() if classes is None else kind(tuple(classes))  # type: ignore[call-arg]


def read_answers(parameters: Mapping[str, str], directory: Path) -> Answers:
    """The answers of a model with these parameters, whose version is in `directory`."""
    kind = _BY_TASK[parameters.get(_PARAMETER, BinaryAnswers.task)]
    labels = directory / LABELS
    return kind(read_labels(labels)) if labels.is_file() else kind()  # type: ignore[call-arg]


def plain(values: npt.NDArray[Any]) -> list[Any]:
    """Answers `[rows, width]` as JSON takes them: a value for each row, or a list of them."""
    found: list[Any] = values.tolist()
    if values.dtype == np.object_:
        found = [[each.decode() for each in row] for row in found]
    return [row[0] for row in found] if values.shape[1] == 1 else found


def read_labels(path: Path) -> tuple[str, ...]:
    """The classes in a file, one a line."""
    return tuple(path.read_text(encoding="utf-8").removesuffix("\n").split("\n"))
