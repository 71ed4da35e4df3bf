"""What the cells of known outcomes say: figures with intervals, by the task that they are of.

`trimaran/served/judging.py` has the cells, of live outcomes and of a test part alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from trimaran.served.judging import CELLS, NUMBER_CELLS, RANKED_CELLS, class_cells
from trimaran.stats.intervals import Estimate, f1_score, fall, share

__all__ = ["ALLOWED_FALLS", "Cells", "Measured", "allowed", "loss_of", "measured"]

ALLOWED_FALLS: Mapping[str, float] = {"accuracy": 0.02, "F1": 0.05, "macro F1": 0.05, "MAE": 0.1}
"""How far each may be worse than the test part's; for the MAE a share of the test part's."""

Cells = Mapping[str, float]
"""Rows, or sums, by cell."""

_MAE = "MAE"
_Z = 1.96
"""Of 95 %."""


@dataclass(frozen=True)
class Measured:
    """The figures of one model's outcomes; None where one cannot be computed."""

    outcomes: float
    figures: Mapping[str, Estimate | None]


def measured(cells: Cells) -> Measured:
    """By the first task that has one of the cells."""
    return next(of(cells) for is_of, of in _TASKS if any(map(is_of, cells)))


def loss_of(name: str, live: Estimate | None, reference: Estimate | None) -> Estimate | None:
    """How much worse `live` is than `reference`: for the MAE how far above it, else how far below.

    None where one of them is.
    """
    return fall(reference, live) if name == _MAE else fall(live, reference)


def allowed(name: str, reference: Estimate | None) -> float | None:
    """How much worse a figure may be; None for one that has no bound."""
    most = ALLOWED_FALLS.get(name)
    if most is None or reference is None:
        return None
    return most * reference.value if name == _MAE else most


def _of_decisions(cells: Cells) -> Measured:
    counts = {**dict.fromkeys(CELLS, 0.0), **cells}
    right, wrong = counts["true_positive"], counts["false_positive"]
    missed = counts["false_negative"]
    figures = {
        "accuracy": share(right + counts["true_negative"], sum(counts.values())),
        "precision": share(right, right + wrong),
        "recall": share(right, right + missed),
        "F1": f1_score(right, wrong, missed),
    }
    return Measured(sum(counts.values()), figures)


def _of_classes(cells: Cells) -> Measured:
    right_cell = class_cells("")[0]
    labels = [name.removeprefix(right_cell) for name in cells if name.startswith(right_cell)]
    counts = [[cells.get(cell, 0.0) for cell in class_cells(label)] for label in labels]
    rows = sum(right + missed for right, missed, _ in counts)
    scores = [f1_score(right, false, missed) for right, missed, false in counts]
    figures = {
        "accuracy": share(sum(right for right, _, _ in counts), rows),
        "macro F1": _mean([score for score in scores if score is not None]),
    }
    return Measured(rows, figures)


def _of_rankings(cells: Cells) -> Measured:
    first, among, neither = (cells.get(cell, 0.0) for cell in RANKED_CELLS)
    rows = first + among + neither
    figures = {"accuracy": share(first, rows), "among the answers": share(first + among, rows)}
    return Measured(rows, figures)


def _of_numbers(cells: Cells) -> Measured:
    held, outside, absolute, squared = (cells.get(cell, 0.0) for cell in NUMBER_CELLS)
    rows = held + outside
    figures = {_MAE: _mean_error(absolute, squared, rows), "coverage": share(held, rows)}
    return Measured(rows, figures)


_TASKS: tuple[tuple[Callable[[str], bool], Callable[[Cells], Measured]], ...] = (
    (lambda cell: cell in CELLS, _of_decisions),
    (lambda cell: cell in NUMBER_CELLS, _of_numbers),
    (lambda cell: cell in RANKED_CELLS, _of_rankings),
    (lambda cell: True, _of_classes),
)


def _mean(scores: list[Estimate]) -> Estimate | None:
    """The mean, with the interval of independent scores: the root of the sum of squared reaches."""
    if not scores:
        return None
    value = sum(score.value for score in scores) / len(scores)
    below = math.hypot(*(score.value - score.low for score in scores)) / len(scores)
    above = math.hypot(*(score.high - score.value for score in scores)) / len(scores)
    return Estimate(value, value - below, value + above)


def _mean_error(absolute: float, squared: float, rows: float) -> Estimate | None:
    """The mean of absolute errors with its normal interval, from their sum and that of squares."""
    if not rows:
        return None
    value = absolute / rows
    reach = _Z * math.sqrt(max(0.0, squared / rows - value**2) / rows)
    return Estimate(value, value - reach, value + reach)
