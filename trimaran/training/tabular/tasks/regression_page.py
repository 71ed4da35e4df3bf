"""What a report says of predicted numbers."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from trimaran.pages.figures import ACCENT, INK, LINE, NEGATIVE
from trimaran.pages.page import Cell, beside, figure, table, text
from trimaran.training.tabular.evaluation.regression_metrics import COVERAGE
from trimaran.training.tabular.tasks.panel import DASHED, panel
from trimaran.training.tabular.tasks.task import FEWEST_ROWS, View
from trimaran.training.tabular.wording import shown

__all__ = ["RegressionPage"]

_MOST_POINTS = 800
_GROUPS = 5
_BARS = 30

Floats = npt.NDArray[np.float64]


class RegressionPage:
    """Errors, and the intervals of predictions."""

    comparison = (
        "Each model has the same features of the same rows, and the margin of its intervals from "
        "the validation part; less is better."
    )
    small = f"fewer than {FEWEST_ROWS} rows"

    def tiles(self, view: View) -> list[tuple[str, Cell]]:
        """MAE with its interval, RMSE, R², the margin and its coverage."""
        test, (low, high) = view.scores, view.interval
        return [
            ("MAE on test", shown(test.mae)),
            ("95 % interval", f"{shown(low)}\N{EN DASH}{shown(high)}"),
            ("RMSE", shown(test.rmse)),
            ("R²", f"{test.r2:.3f}"),
            (f"{COVERAGE:.0%} margin", f"± {shown(test.margin)}"),
            ("coverage on test", f"{test.coverage:.1%}"),
        ]

    def result(self, view: View) -> str:
        """The rows, and the MAE of the mean and the median."""
        return (
            f"The test part has {view.scores.rows} rows. It was scored once, after the weights and "
            "the margin were fixed. Errors are in the unit of "
            f"{view.column}. The interval is from 2,000 bootstrap resamples of those rows; it does "
            "not include the variation between splits. Predicting the training part's mean for "
            f"every row would give a MAE of {shown(view.plain['mean_mae'])}, its median "
            f"{shown(view.plain['median_mae'])}."
        )

    def sections(self, view: View) -> list[tuple[str, list[Markup]]]:
        """Errors and intervals."""
        return [("Errors", _errors(view)), ("Intervals", _intervals(view))]

    def part(self, target: Floats) -> Mapping[str, Cell]:
        """Where the numbers lie."""
        least, middle, most = (float(each) for each in np.quantile(target, (0, 0.5, 1)))
        spread = float(np.std(target))
        about = {"mean": float(np.mean(target)), "sd": spread}
        return {**about, "min": least, "median": middle, "max": most}


def _errors(view: View) -> list[Markup]:
    """Predicted over true numbers, and how errors are spread."""
    target, predicted = view.target, view.predictions.astype(np.float64)
    return [
        beside(
            figure(
                _scatter(target, predicted),
                "On the line a prediction is right."
                + (
                    f" {_MOST_POINTS} of the {len(target)} test rows, evenly spaced."
                    if len(target) > _MOST_POINTS
                    else ""
                ),
                "predicted over true numbers",
            ),
            figure(
                _spread(predicted - target, view.scores.margin),
                "Predicted minus true. The dashed lines are the margin; far tails are in the end "
                "bars.",
                "the distribution of errors",
            ),
        )
    ]


def _intervals(view: View) -> list[Markup]:
    """How often the interval held the number, by the size of the prediction."""
    predicted = view.predictions.astype(np.float64)
    held = np.abs(predicted - view.target) <= view.scores.margin
    rows = [
        (
            f"{shown(float(predicted[part].min()))} to {shown(float(predicted[part].max()))}",
            len(part),
            f"{held[part].mean():.1%}",
            float(np.mean(np.abs(predicted[part] - view.target[part]))),
        )
        for part in np.array_split(np.argsort(predicted, kind="stable"), _GROUPS)
        if len(part)
    ]
    return [
        text(
            f"Each prediction has an interval of ± {shown(view.scores.margin)}: so large that it "
            f"held {COVERAGE:.0%} of the validation rows (split conformal prediction). It holds "
            f"{view.scores.coverage:.1%} of the test rows. It is as wide for every row, so where "
            "errors are larger it holds fewer."
        ),
        table(["prediction", "rows", "within the interval", "MAE"], rows),
    ]


def _scatter(target: Floats, predicted: Floats) -> Figure:
    drawn, axes = panel("predicted over true", 3.5, below="true", grid="both")
    some = np.linspace(0, len(target) - 1, min(_MOST_POINTS, len(target))).astype(int)
    low = float(min(target.min(), predicted.min()))
    high = float(max(target.max(), predicted.max()))
    axes.plot([low, high], [low, high], color=LINE, linewidth=1, linestyle=DASHED)
    axes.plot(target[some], predicted[some], ".", color=NEGATIVE, alpha=0.5, markersize=4)
    axes.set_ylabel("predicted")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(nbins=5))
    return drawn


def _spread(errors: Floats, margin: float) -> Figure:
    drawn, axes = panel("rows by error", 3.5, below="error")
    far = max(2.5 * margin, float(np.quantile(np.abs(errors), 0.9)), 1e-12)
    heights, edges = np.histogram(np.clip(errors, -far, far), _BARS, (-far, far))
    axes.stairs(heights, edges, fill=True, color=NEGATIVE, alpha=0.4)
    axes.stairs(heights, edges, color=NEGATIVE, linewidth=1.2)
    axes.axvline(0, color=INK, linewidth=0.7)
    for side in (-margin, margin):
        axes.axvline(side, color=ACCENT, linewidth=1, linestyle=DASHED)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    return drawn
