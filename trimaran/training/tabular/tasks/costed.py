"""The task of one outcome whose errors have stated costs: the threshold makes them cost least."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trimaran.stats.intervals import Estimate
from trimaran.training.tabular.evaluation.costs import Costs, cheapest_threshold, compared
from trimaran.training.tabular.evaluation.metrics import (
    METRIC_NAMES,
    Confusion,
    Flags,
    Probabilities,
    Scores,
    choose_threshold,
    decide,
    score,
    top_precision,
)
from trimaran.training.tabular.tasks.binary import Binary
from trimaran.training.tabular.tasks.task import Chosen, Page, Segment
from trimaran.training.tabular.wording import shown

__all__ = ["CostedBinary", "CostedScores"]

_F1_THRESHOLD = "f1_threshold"
_ALERTS = 0.01


@dataclass(frozen=True)
class CostedScores(Scores):
    """Every metric on one part, and what its errors cost."""

    cost: float
    """Per 1,000 rows."""
    alert_precision: float
    """The share of positives among the 1 % of the rows with the highest probabilities."""


@dataclass(frozen=True)
class CostedBinary(Binary):
    """As `Binary`, but models are compared by what their errors cost. Raises `TrimaranError`."""

    cost_missed: float
    """As `Costs.missed`."""
    cost_alarm: float
    """As `Costs.alarm`."""

    metrics = {  # noqa: RUF012
        "cost": "cost/1,000",
        **METRIC_NAMES,
        "alert_precision": "precision of top 1 %",
    }
    main = "cost"
    greater_is_better = False
    most = None
    judged = ("rise of log loss", "rise of cost/1,000")
    objectives = {"log_loss": "loss", "cost": "score"}  # noqa: RUF012

    def __post_init__(self) -> None:
        super().__post_init__()
        _ = self.costs

    @property
    def costs(self) -> Costs:
        """Both costs."""
        return Costs(self.cost_missed, self.cost_alarm)

    def as_dict(self) -> dict[str, Any]:
        """As in a schema."""
        own = {"cost_missed": self.cost_missed, "cost_alarm": self.cost_alarm}
        return {**super().as_dict(), **own}

    def choose(self, target: Flags, predictions: Probabilities) -> Chosen:
        """The threshold (see `cheapest_threshold`), and the one without costs."""
        return {
            "threshold": cheapest_threshold(target, predictions, self.costs),
            _F1_THRESHOLD: choose_threshold(target, predictions),
        }

    def score(self, target: Flags, predictions: Probabilities, chosen: Chosen) -> CostedScores:
        """At the threshold."""
        found = score(target, predictions, chosen["threshold"])
        cost = self.costs.of_confusion(found.confusion)
        alerts = top_precision(target, predictions, _ALERTS)
        return CostedScores(**vars(found), cost=cost, alert_precision=alerts)

    def main_value(self, target: Flags, predictions: Probabilities, chosen: Chosen) -> float:
        """The cost."""
        found = Confusion.of(target, decide(predictions, chosen["threshold"]))
        return self.costs.of_confusion(found)

    def interval(
        self, target: Flags, predictions: Probabilities, chosen: Chosen, seed: int
    ) -> tuple[float, float]:
        """Of the cost."""
        own = {"own": chosen["threshold"]}
        found = compared(target, predictions, self.costs, own, seed)["own"]
        return found.low, found.high

    def compared(
        self, target: Flags, predictions: Probabilities, chosen: Chosen, seed: int
    ) -> Mapping[str, Estimate]:
        """The cost by the threshold that F1 chooses, and of one decision for every row."""
        without = {_F1_THRESHOLD: chosen[_F1_THRESHOLD]}
        return compared(target, predictions, self.costs, without, seed)

    def segment(
        self, field: str, group: str, target: Flags, predictions: Probabilities, chosen: Chosen
    ) -> Segment:
        """As of `Binary`, with the cost before."""
        found = super().segment(field, group, target, predictions, chosen)
        cost = self.main_value(target, predictions, chosen)
        scores = {"cost": cost, **found.scores}
        return Segment(field, group, found.rows, scores, found.small)

    def summary(self, metrics: Mapping[str, Any]) -> str:
        """The cost with its interval, and those of simpler decisions."""
        test = metrics["test"]
        low, high = test["cost_interval"]
        others = {
            f"at the threshold of the best F1, {metrics[_F1_THRESHOLD]:g},": _F1_THRESHOLD,
            "of deciding negative for every row": "always_no",
            "of deciding positive for every row": "always_yes",
        }
        told = [f"{name} {_told(**test['compared'][key])}" for name, key in others.items()]
        return (
            f"errors cost {shown(test['cost'])} per 1,000 rows on the test part, 95 % interval "
            f"{shown(low)} to {shown(high)}, at the threshold {metrics['threshold']:g}; they cost "
            + ", ".join(told)
        )

    @property
    def page(self) -> Page:
        """Costs, decisions and probabilities."""
        from trimaran.training.tabular.tasks.costed_page import CostedPage

        return CostedPage(self.positive, self.costs)


def _told(value: float, low: float, high: float) -> str:
    return f"{shown(value)} ({shown(low)} to {shown(high)})"
