"""Two runs on the same rows: the paired difference of their main metric, and what it means."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from trimaran.stats.bootstrap import paired_difference
from trimaran.stats.intervals import Estimate
from trimaran.training.tabular.tasks.task import FEWEST_ROWS, Chosen, Predictions, Target, Task

__all__ = ["Answering", "Comparison", "SliceChange", "compared", "slices_of"]

Word = Literal["better", "matches", "worse", "unsure", "too few"]
Change = Literal["falls", "unsure", "holds", "few"]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Answering:
    """What a run says of the rows, and what was chosen when it was trained."""

    predictions: Predictions
    chosen: Chosen

    def value(self, task: Task, target: Target, rows: npt.NDArray[np.int64] | Flags) -> float:
        """The main metric of some of the rows."""
        return task.main_value(target[rows], self.predictions[rows], self.chosen)


@dataclass(frozen=True)
class Comparison:
    """A new run against the live one."""

    word: Word
    rows: int
    new: float | None = None
    """The main metric; None of too few rows."""
    live: float | None = None
    gain: Estimate | None = None
    """How much better the new one is; of a metric of which less is better, how much less."""
    margin: float = 0.0
    """What counts as no worse, in the metric's unit."""


@dataclass(frozen=True)
class SliceChange:
    """How the main metric of a group of rows changes with the new run."""

    field: str
    group: str
    rows: int
    gain: Estimate | None
    """By an interval that holds for all groups at once; None of too few rows."""
    word: Change


def compared(
    task: Task, target: Target, new: Answering, live: Answering, margin: float
) -> Comparison:
    """Compare two runs on rows that neither was fitted to.

    `better` is a gain above 0 by the whole 95 % interval. A run `matches` where that is above
    `-margin`, is `worse` where it is below 0, and else `unsure`.
    """
    rows = len(target)
    if rows < FEWEST_ROWS:
        return Comparison("too few", rows)
    every = np.arange(rows)
    ours, theirs = (each.value(task, target, every) for each in (new, live))
    bound = _bound(task, margin, theirs)
    gain = _gain(task, target, new, live, every)
    return Comparison(_word(gain, bound), rows, ours, theirs, gain, bound)


def slices_of(
    task: Task,
    target: Target,
    new: Answering,
    live: Answering,
    groups: Iterable[tuple[str, str, Flags]],
    most: float,
) -> Sequence[SliceChange]:
    """The change of each group, the largest fall first, and those of too `few` rows at the end.

    A group `falls` where it does so by more than `most`, by the whole interval. The more groups
    there are, the wider are the intervals, so that chance lets none of them fall.
    """
    parts = [(field, group, np.flatnonzero(inside)) for field, group, inside in groups]
    parts = [part for part in parts if len(part[2]) < len(target)]
    few = [_is_small(task, target, live, part) for part in parts]
    judged = [part for part, small in zip(parts, few, strict=True) if not small]
    found = []
    for field, group, rows in judged:
        gain = _gain(task, target, new, live, rows, len(judged))
        bound = _bound(task, most, live.value(task, target, rows))
        found.append((gain, SliceChange(field, group, len(rows), gain, _change(gain, bound))))
    found.sort(key=lambda each: each[0].value)
    return [each for _, each in found] + [
        SliceChange(field, group, len(rows), None, "few")
        for (field, group, rows), small in zip(parts, few, strict=True)
        if small
    ]


def _is_small(
    task: Task, target: Target, live: Answering, part: tuple[str, str, npt.NDArray[np.int64]]
) -> bool:
    field, group, rows = part
    return task.segment(field, group, target[rows], live.predictions[rows], live.chosen).small


def _change(gain: Estimate, bound: float) -> Change:
    if gain.high < -bound:
        return "falls"
    return "unsure" if gain.low < -bound else "holds"


def _gain(
    task: Task,
    target: Target,
    new: Answering,
    live: Answering,
    rows: npt.NDArray[np.int64],
    among: int = 1,
) -> Estimate:
    ours, theirs = (
        lambda some, each=each: task.goodness(each.value(task, target, rows[some]))
        for each in (new, live)
    )
    return paired_difference(ours, theirs, len(rows), among=among)


def _bound(task: Task, bound: float, live: float) -> float:
    return bound if task.most is not None else bound * abs(live)


def _word(gain: Estimate, margin: float) -> Word:
    if gain.low > 0:
        return "better"
    if gain.low >= -margin:
        return "matches"
    return "worse" if gain.high < 0 else "unsure"
