"""What the arms were asked and what they answered, from the prediction log of a model.

The log has a line for each answered row, with the version that answered and the fields that its
policy names. Fields are counted by the bins of the live version's `reference.json`. One row of each
unit counts: of each request, or where clients stay with their arm, of each record's identifier.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from trimaran.rollout.experiments.observed import Observed
from trimaran.rollout.experiments.segments import ARMS, ArmName
from trimaran.served.distribution import Feature
from trimaran.served.judging import Judge
from trimaran.served.prediction_log import SUFFIX

__all__ = ["Answered", "Counting", "PredictionLines", "answer_of", "bin_of_value", "counted"]

_MOST_BYTES = 1 << 24
"""What is read at once."""
_MOST_ANSWERS = 200
_OTHER = "other"


class PredictionLines:
    """Follows the files of a prediction log from where they end now."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._read = {path: path.stat().st_size for path in self._files()}

    def news(self) -> Iterator[Mapping[str, Any]]:
        """The lines since the last call, of each file in order."""
        left = _MOST_BYTES
        for path in self._files():
            lines = _whole_lines(path, self._read.get(path, 0), left)
            left -= len(lines)
            self._read[path] = self._read.get(path, 0) + len(lines)
            for line in lines.splitlines():
                try:
                    found = json.loads(line)
                except ValueError:
                    continue
                if isinstance(found, dict):
                    yield found

    def _files(self) -> Sequence[Path]:
        return sorted(self._directory.glob(f"*{SUFFIX}"))


def _whole_lines(path: Path, start: int, most: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(start)
            text = file.read(most)
    except FileNotFoundError:  # the log removes the oldest
        return b""
    return text[: text.rfind(b"\n") + 1]


@dataclass(frozen=True)
class Counting:
    """How lines are counted."""

    arms: Mapping[str, ArmName]
    """By version."""
    fields: Sequence[Feature] = ()
    answer: Callable[[Mapping[str, Any]], str] | None = None
    """Of the answers by name; may raise `KeyError` and the like."""
    by_id: bool = False
    """Whether a unit is a record's identifier; otherwise it is a request."""


@dataclass
class Answered:
    """What one arm was asked, and what it answered."""

    inputs: dict[str, Counter[str]] = field(default_factory=dict)
    answers: Counter[str] = field(default_factory=Counter)

    def observed(self) -> Observed:
        """As an experiment takes it."""
        inputs = {name: dict(each) for name, each in self.inputs.items()}
        return Observed(answers=dict(self.answers), inputs=inputs)


def counted(
    lines: Iterable[Mapping[str, Any]],
    counting: Counting,
    since: datetime,
    is_new: Callable[[str], bool],
) -> Mapping[ArmName, Observed]:
    """What lines since a time say of each arm; `is_new` is asked of each identifier."""
    found = {arm: Answered() for arm in ARMS}
    for line in lines:
        arm = counting.arms.get(str(line.get("version")))
        if arm and _is_since(line, since) and _is_unit(line, counting, is_new):
            _count(line, counting, found[arm])
    return {arm: each.observed() for arm, each in found.items()}


def _is_since(line: Mapping[str, Any], since: datetime) -> bool:
    try:
        return datetime.fromisoformat(line["time"]).astimezone(UTC) >= since
    except (KeyError, TypeError, ValueError):
        return False


def _is_unit(line: Mapping[str, Any], counting: Counting, is_new: Callable[[str], bool]) -> bool:
    if counting.by_id:
        name = line.get("id")
        return isinstance(name, str) and is_new(name)
    return not line.get("row")


def _count(line: Mapping[str, Any], counting: Counting, found: Answered) -> None:
    given = line.get("input")
    if not isinstance(given, dict):
        given = {}
    for feature in counting.fields:
        if feature.name in given:
            bins = found.inputs.setdefault(feature.name, Counter())
            bins[bin_of_value(feature, given[feature.name])] += 1
    if counting.answer:
        try:
            answer = counting.answer(line["output"])
        except (KeyError, TypeError, ValueError, IndexError):
            return
        known = answer in found.answers or len(found.answers) < _MOST_ANSWERS
        found.answers[answer if known else _OTHER] += 1


def bin_of_value(feature: Feature, value: Any) -> str:
    """The name of the bin of a field's value as the log has it."""
    if feature.kind == "category":
        return "missing" if value is None else str(value) if value in feature.values else "unknown"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "missing"
    return feature.bins[bisect_right(feature.edges, value)]


def answer_of(judge: Judge, bins: Feature | None) -> Callable[[Mapping[str, Any]], str] | None:
    """The answer that is counted, by its judge; None where it is a number and there are no bins."""

    def decided(output: Mapping[str, Any]) -> str:
        _, found = judge.prediction(output)
        if isinstance(found, int):
            return "positive" if found else "negative"
        answer = json.loads(str(found))
        first = answer[0] if isinstance(answer, list) else answer
        if isinstance(first, str):
            return first
        if bins is None:
            raise ValueError("a number without bins")
        return bins.bins[bisect_right(bins.edges, first)]

    return decided
