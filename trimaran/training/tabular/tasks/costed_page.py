"""What a report says of an outcome whose errors have costs."""

from __future__ import annotations

import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure

from trimaran.pages.figures import ACCENT, INK, LINE, POSITIVE
from trimaran.pages.page import Cell, beside, figure, table, text
from trimaran.stats.intervals import Estimate
from trimaran.training.tabular.evaluation.costs import Costs, by_threshold
from trimaran.training.tabular.tasks.binary_page import BinaryPage
from trimaran.training.tabular.tasks.panel import DASHED, MARK, panel
from trimaran.training.tabular.tasks.task import View
from trimaran.training.tabular.wording import shown

__all__ = ["CostedPage"]


class CostedPage(BinaryPage):
    """Costs, and what `BinaryPage` has."""

    def __init__(self, positive: str, costs: Costs) -> None:
        super().__init__(positive)
        self.costs = costs
        self.rule = (
            "of all thresholds whose cost is within 1 % of the least, the nearest to "
            f"{costs.threshold:.3g}, which is the cheapest for exact probabilities"
        )

    def tiles(self, view: View) -> list[tuple[str, Cell]]:
        """The cost with its interval, and the decisions."""
        test, (low, high) = view.scores, view.interval
        return [
            ("cost per 1,000 rows", shown(test.cost)),
            ("95 % interval", f"{shown(low)}\N{EN DASH}{shown(high)}"),
            ("F1 on test", f"{test.f1:.3f}"),
            ("precision", f"{test.precision:.3f}"),
            ("recall", f"{test.recall:.3f}"),
            ("threshold", f"{test.threshold:.4g}"),
        ]

    def sections(self, view: View) -> list[tuple[str, list[Markup]]]:
        """Costs, decisions and probabilities."""
        return [("Costs", self._costs(view)), *super().sections(view)]

    def _costs(self, view: View) -> list[Markup]:
        """The costs of ways to decide, and by threshold, on the test part."""
        own = Estimate(view.scores.cost, *view.interval)
        plain = view.chosen["f1_threshold"]
        ways = {
            f"the threshold {view.scores.threshold:.4g}": own,
            f"the threshold of the best F1, {plain:g}": view.compared["f1_threshold"],
            "negative for every row": view.compared["always_no"],
            "positive for every row": view.compared["always_yes"],
        }
        rows = [
            (name, one.value, f"{shown(one.low)}\N{EN DASH}{shown(one.high)}")
            for name, one in ways.items()
        ]
        return [
            text(
                f"A positive row that is missed costs {self.costs.missed:g}, a false alarm "
                f"{self.costs.alarm:g}; right decisions cost nothing. All figures are per 1,000 "
                "rows of the test part, in the unit of those costs."
            ),
            beside(
                table(["decided by", "cost", "95 % interval"], rows),
                figure(
                    self._by_threshold(view),
                    "The dot is the threshold, which the validation part chose, the dotted line "
                    "the one of the best F1. The dashed lines are one decision for every row.",
                    "the cost by threshold",
                ),
            ),
        ]

    def _by_threshold(self, view: View) -> Figure:
        drawn, axes = panel("cost per 1,000 rows", 3.2, below="threshold", grid="both")
        thresholds, cost = by_threshold(view.target, view.predictions, self.costs)
        for name in ("always_no", "always_yes"):
            axes.axhline(view.compared[name].value, color=LINE, linewidth=1, linestyle=DASHED)
        top = 1.1 * max(view.compared["always_no"].value, view.scores.cost)
        axes.step(thresholds, np.minimum(cost, top), where="pre", color=POSITIVE, linewidth=1.4)
        axes.axvline(view.chosen["f1_threshold"], color=INK, linewidth=0.7, linestyle=":")
        axes.axvline(view.scores.threshold, color=ACCENT, linewidth=0.7)
        axes.plot([view.scores.threshold], [view.scores.cost], **MARK)
        axes.set_xlim(-0.02, 1.02)
        axes.set_ylim(0, 1.05 * top)
        return drawn
