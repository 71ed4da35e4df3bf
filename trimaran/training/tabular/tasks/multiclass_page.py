"""What a report says of predicted classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from trimaran.pages.confusion import confusion_figure
from trimaran.pages.figures import ACCENT, NEGATIVE, labels
from trimaran.pages.page import Cell, beside, figure, table, text
from trimaran.training.tabular.evaluation.metrics import calibration
from trimaran.training.tabular.evaluation.multiclass_metrics import Codes, MulticlassScores
from trimaran.training.tabular.tasks.panel import DASHED, draw_calibration, panel
from trimaran.training.tabular.tasks.task import FEWEST_ROWS, View
from trimaran.training.tabular.wording import shown

__all__ = ["MulticlassPage"]

_MOST_CELLS = 12
"""Classes whose confusion matrix is drawn."""
_MOST_MISTAKES = 20
_MOST_BARS = 40


class MulticlassPage:
    """Which classes are told apart, and how sure the model is."""

    comparison = "Each model has the same features of the same rows, and decides the most probable."
    small = f"fewer than {FEWEST_ROWS} rows"

    def __init__(self, classes: Sequence[str]) -> None:
        self.classes = classes

    def tiles(self, view: View) -> list[tuple[str, Cell]]:
        """Macro F1 with its interval, accuracy and log loss."""
        test, (low, high) = view.scores, view.interval
        return [
            ("macro F1 on test", f"{test.macro_f1:.3f}"),
            ("95 % interval", f"{low:.3f}\N{EN DASH}{high:.3f}"),
            ("accuracy", f"{test.accuracy:.3f}"),
            ("log loss", f"{test.log_loss:.3f}"),
            ("classes", len(self.classes)),
        ]

    def result(self, view: View) -> str:
        """The rows, and the scores of the most frequent class."""
        return (
            f"The test part has {view.scores.rows} rows. It was scored once, after the weights "
            "were fixed. Macro F1 is the mean of the classes' F1, so rare classes count as much as "
            "frequent ones. The interval is from 2,000 bootstrap resamples of those rows; it does "
            "not include the variation between splits. Deciding the most frequent class for every "
            f"row would give a macro F1 of {shown(view.plain['majority_macro_f1'])} and an "
            f"accuracy of {shown(view.plain['majority_accuracy'])}."
        )

    def sections(self, view: View) -> list[tuple[str, list[Markup]]]:
        """Classes and probabilities."""
        return [("Classes", self._classes(view)), ("Probabilities", self._probabilities(view))]

    def part(self, target: Codes) -> Mapping[str, Cell]:
        """How many rows each class has."""
        counts = np.bincount(target, minlength=len(self.classes))
        named = zip(self.classes[:_MOST_CELLS], counts.tolist(), strict=False)
        rest = {"other classes": int(counts[_MOST_CELLS:].sum())}
        return {**dict(named), **(rest if len(self.classes) > _MOST_CELLS else {})}

    def _classes(self, view: View) -> list[Markup]:
        """Each class's scores, and which ones are taken for which."""
        test: MulticlassScores = view.scores
        scores = table(
            ["class", "rows", "decided", "precision", "recall", "F1"],
            [
                (one.label, one.rows, one.decided, one.precision, one.recall, one.f1)
                for one in test.classes
            ],
        )
        bars = figure(
            _f1_figure(test), "The line is macro F1.", "bars of F1 by class, the lowest first"
        )
        blocks = [beside(bars, scores)]
        if len(self.classes) <= _MOST_CELLS:
            blocks.append(
                figure(
                    confusion_figure(np.array(test.confusion), self.classes),
                    "Rows of the test part by true and decided class; each share is of the rows of "
                    f"its true class. The classes are those of the column {view.column}.",
                    "the confusion matrix",
                )
            )
        mistakes = self._mistakes(test)
        if mistakes:
            blocks += [
                text("The most frequent mistakes on the test part:"),
                table(["true", "decided", "rows", "share of the true class"], mistakes),
            ]
        return blocks

    def _mistakes(self, test: MulticlassScores) -> list[tuple[Cell, ...]]:
        counts = np.array(test.confusion)
        wrong = counts - np.diag(np.diagonal(counts))
        order = np.argsort(-wrong, axis=None, kind="stable")[:_MOST_MISTAKES]
        places = [divmod(int(place), len(self.classes)) for place in order]
        return [
            (
                self.classes[true],
                self.classes[decided],
                int(wrong[true, decided]),
                f"{wrong[true, decided] / counts[true].sum():.1%}",
            )
            for true, decided in places
            if wrong[true, decided]
        ]

    def _probabilities(self, view: View) -> list[Markup]:
        """How often the most probable class is the true one."""
        best = view.predictions.max(axis=1)
        right = view.predictions.argmax(axis=1) == view.target
        drawn, axes = panel("how often the decision is right", 3.2, "its probability", "both")
        groups = calibration(right, best)
        draw_calibration(axes, groups)
        axes.set_ylabel("share of right decisions")
        return [
            figure(
                drawn,
                "Ten equally large groups of test rows, by the probability of the most probable "
                "class; on the line, probabilities equal shares.",
                "share of right decisions over their probability",
            )
        ]


def _f1_figure(test: MulticlassScores) -> Figure:
    listed = sorted(test.classes, key=lambda one: one.f1)[:_MOST_BARS]
    drawn, axes = panel("F1 by class", 0.75 + 0.27 * max(2, len(listed)), grid="x")
    places = np.arange(len(listed))
    axes.barh(places, [one.f1 for one in listed], 0.62, color=NEGATIVE)
    axes.axvline(test.macro_f1, color=ACCENT, linewidth=1, linestyle=DASHED)
    axes.set_yticks(places, labels((one.label for one in listed), 22))
    axes.set_ylim(max(2, len(listed)) - 0.4, -0.6)
    axes.set_xlim(0, 1.02)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=4))
    return drawn
