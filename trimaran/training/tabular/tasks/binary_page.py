"""What a report says of an outcome that is or is not."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from markupsafe import Markup

from trimaran.pages.page import Cell, beside, figure, legend, text
from trimaran.training.tabular.evaluation.metrics import FEWEST_POSITIVES, Flags
from trimaran.training.tabular.tasks.binary_plots import (
    calibration_figures,
    confusion_figure,
    curves_figures,
)
from trimaran.training.tabular.tasks.task import FEWEST_ROWS, View

__all__ = ["BinaryPage"]


class BinaryPage:
    """Decisions by the threshold, and probabilities."""

    comparison = (
        "Each model has the same features of the same rows, and a threshold by the same rule on "
        "the validation part."
    )

    small = f"fewer than {FEWEST_ROWS} rows or {FEWEST_POSITIVES} positives"
    rule = "of all thresholds whose F1 is within 0.005 of the best, the nearest to 0.5"

    def __init__(self, positive: str) -> None:
        self.positive = positive

    def tiles(self, view: View) -> list[tuple[str, Cell]]:
        """F1 with its interval, precision, recall, ROC AUC and the threshold."""
        test, (low, high) = view.scores, view.interval
        return [
            ("F1 on test", f"{test.f1:.3f}"),
            ("95 % interval", f"{low:.3f}\N{EN DASH}{high:.3f}"),
            ("precision", f"{test.precision:.3f}"),
            ("recall", f"{test.recall:.3f}"),
            ("ROC AUC", f"{test.roc_auc:.3f}"),
            ("threshold", f"{test.threshold:g}"),
        ]

    def result(self, view: View) -> str:
        """The rows, and the F1 of deciding positive for all."""
        test = view.scores
        return (
            f"The test part has {test.rows} rows, {test.positives} of them positive. It was scored "
            "once, after the weights and the threshold were fixed. The interval is from 10,000 "
            "bootstrap resamples of those rows; it does not include the variation between splits. "
            "Deciding positive for every row would give an F1 of "
            f"{view.plain['always_yes_f1']:.3f}."
        )

    def sections(self, view: View) -> list[tuple[str, list[Markup]]]:
        """Decisions and probabilities."""
        return [
            ("Decisions", self._decisions(view)),
            ("Probabilities", self._probabilities(view)),
        ]

    def part(self, target: Flags) -> Mapping[str, Cell]:
        """How many rows are positive."""
        share = f"{float(np.mean(target)):.1%}"
        return {"positives": int(target.sum()), f"share of {self.positive}": share}

    def _decisions(self, view: View) -> list[Markup]:
        """The confusion matrix at the threshold."""
        found = view.scores.confusion
        return [
            text(
                f"Positive means {view.column} = {self.positive}. Of 100 rows decided as "
                f"positive, {100 * found.precision:.0f} are; of 100 rows that are positive, "
                f"{100 * found.recall:.0f} are decided so."
            ),
            figure(
                confusion_figure(found, self.positive),
                "Rows of the test part by outcome and decision; each share is of the rows of its "
                f"outcome. The outcome is the column {view.column}.",
                "the confusion matrix",
            ),
        ]

    def _probabilities(self, view: View) -> list[Markup]:
        """ROC, precision over recall, and calibration, on the test part."""
        target, probability, scores = view.target, view.predictions, view.scores
        roc, both = curves_figures(target, probability, scores)
        shares, spread = calibration_figures(target, probability, scores.ece)
        name, positive = view.column, self.positive
        return [
            text(
                f"The dot is the threshold, {scores.threshold:.4g}. It was chosen on the "
                f"validation part: {self.rule}."
            ),
            beside(
                figure(roc, "The dashed line is chance.", "the ROC curve"),
                figure(both, "The dashed line is the share of positives.", "precision over recall"),
            ),
            legend(
                [(f"{name}: {positive}", "positive"), (f"{name}: not {positive}", "negative")],
            ),
            beside(
                figure(
                    shares,
                    "Ten equally large groups of test rows, by probability; on the line, "
                    "probabilities equal shares.",
                    "share of positives over mean probability",
                ),
                figure(
                    spread,
                    "The probabilities of the rows of each outcome.",
                    "the distribution of probabilities",
                ),
            ),
        ]
