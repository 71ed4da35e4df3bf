"""What wrong decisions cost, and the threshold that makes them cost least."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from trimaran.stats.bootstrap import percentile_interval, resampled_counts
from trimaran.stats.intervals import Estimate
from trimaran.system.errors import UsageError
from trimaran.training.tabular.evaluation.metrics import Confusion, Flags, Probabilities, decide

__all__ = ["KEYS", "Costs", "by_threshold", "cheapest_threshold", "check_cost", "compared"]

KEYS = {"cost_missed": "a missed positive row", "cost_alarm": "a false alarm"}
"""Both costs as a schema names them, and of what each is."""

_MOST = 1e12
_SLACK = 0.01
_PER = 1000
_RESAMPLES = 10_000


def check_cost(key: str, value: float) -> None:
    """Raise `UsageError` for a number that cannot be the cost of this key of `KEYS`."""
    if not 0 < value <= _MOST:
        raise UsageError(
            f"the cost of {KEYS[key]} is {value:g}; it must be a number above 0, of at most "
            f"{_MOST:g}"
        )


@dataclass(frozen=True)
class Costs:
    """What errors cost, in any unit; right decisions cost nothing. Raises `UsageError`."""

    missed: float
    """Of a positive row that is decided negative."""
    alarm: float
    """Of a negative row that is decided positive."""

    def __post_init__(self) -> None:
        for key, value in zip(KEYS, dataclasses.astuple(self), strict=True):
            check_cost(key, value)

    @property
    def threshold(self) -> float:
        """The cheapest threshold of exact probabilities: alarm / (missed + alarm).

        C. Elkan, "The Foundations of Cost-Sensitive Learning" (2001), equation 2.
        """
        return self.alarm / (self.missed + self.alarm)

    def of(self, missed: npt.ArrayLike, alarms: npt.ArrayLike, rows: int) -> Any:
        """The cost per 1,000 rows of so many errors of each kind."""
        total = self.missed * np.asarray(missed) + self.alarm * np.asarray(alarms)
        return _PER * total / rows

    def of_confusion(self, found: Confusion) -> float:
        """The cost per 1,000 rows."""
        return float(self.of(found.false_negative, found.false_positive, found.rows))


def by_threshold(
    target: Flags, probability: Probabilities, costs: Costs
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]:
    """Every threshold that decides otherwise than the next one, and its cost per 1,000 rows.

    The thresholds, ascending, are 0, the middles between probabilities that follow one another, and
    1. `target` and `probability` are of the same rows, `[rows]`.
    """
    known = np.unique(probability)
    middle = ((known[:-1].astype(np.float64) + known[1:]) / 2).astype(np.float32)
    middle = np.where(middle > known[:-1], middle, known[1:])  # two float32 may have no middle
    thresholds = np.unique(np.concatenate([[0], middle, [1]]).astype(np.float32))
    positive, negative = np.sort(probability[target]), np.sort(probability[~target])
    missed = np.searchsorted(positive, thresholds)
    alarms = len(negative) - np.searchsorted(negative, thresholds)
    return thresholds, costs.of(missed, alarms, len(target))


def cheapest_threshold(target: Flags, probability: Probabilities, costs: Costs) -> float:
    """Of the thresholds that cost at most 1 % more than the cheapest, the nearest to the exact one.

    The exact one is that of exact probabilities: see `Costs.threshold`. The cheapest of these rows
    is often so by one row or two, and the nearest to it in theory is also good on other rows.
    """
    thresholds, cost = by_threshold(target, probability, costs)
    good = thresholds[cost <= cost.min() * (1 + _SLACK)]
    return float(good[np.argmin(np.abs(good.astype(np.float64) - costs.threshold))])


def compared(
    target: Flags,
    probability: Probabilities,
    costs: Costs,
    thresholds: Mapping[str, float],
    seed: int,
) -> dict[str, Estimate]:
    """The cost per 1,000 rows of deciding by each threshold, and of the same decision for all rows.

    By the names of `thresholds`, `always_no` and `always_yes`. The 95 % intervals are between
    percentiles of 10 000 bootstrap resamples of the rows.
    """
    decisions = {name: decide(probability, at) for name, at in thresholds.items()}
    decisions["always_no"] = np.zeros(len(target), dtype=bool)
    decisions["always_yes"] = np.ones(len(target), dtype=bool)
    return {
        name: _estimate(Confusion.of(target, decided), costs, seed)
        for name, decided in decisions.items()
    }


def _estimate(found: Confusion, costs: Costs, seed: int) -> Estimate:
    counts = dataclasses.astuple(found)
    drawn = resampled_counts(counts, _RESAMPLES, np.random.default_rng(seed))
    spread = costs.of(drawn[:, 2], drawn[:, 1], found.rows)
    return Estimate(costs.of_confusion(found), *percentile_interval(spread))
