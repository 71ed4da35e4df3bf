"""The figures of the report on a training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from trimaran.pages.figures import ACCENT, INK, NEGATIVE, POSITIVE, labels
from trimaran.training.tabular.evaluation.importance import Importance
from trimaran.training.tabular.learning.fitting import Epoch
from trimaran.training.tabular.tasks.panel import DASHED, MARK, panel
from trimaran.training.tabular.tasks.task import Segment
from trimaran.training.tabular.wording import shown

__all__ = ["comparison_figure", "importance_figure", "learning_figures", "segments_figure"]


def learning_figures(history: Sequence[Epoch], best: int, loss: str) -> tuple[Figure, Figure]:
    """The losses by epoch, with the best epoch marked; and the learning rate."""
    losses, left = panel(loss, 2.6, below="epoch")
    epochs = np.arange(1, len(history) + 1)
    for name, colour, style in (("train", NEGATIVE, "-"), ("validation", POSITIVE, "--")):
        values = [getattr(epoch, f"{name}_loss") for epoch in history]
        left.plot(epochs, values, color=colour, linewidth=1.6, linestyle=style)
    left.axvline(best + 1, color=ACCENT, linewidth=1, linestyle=":")
    left.plot([best + 1], [history[best].validation_loss], **MARK)
    left.set_ylim(bottom=0)
    rates, right = panel("learning rate", 2.6, below="epoch")
    right.plot(epochs, [epoch.learning_rate for epoch in history], color=INK, linewidth=1.4)
    right.set_ylim(bottom=0)
    for axes in (left, right):
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
        axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
    return losses, rates


def importance_figure(found: Sequence[Importance], title: str) -> Figure:
    """The rise of the loss by field, with its standard deviation."""
    figure, axes = panel(title, 0.75 + 0.27 * max(2, len(found)), grid="x")
    places = np.arange(len(found))
    axes.barh(
        places,
        [one.loss_rise for one in found],
        0.62,
        xerr=[one.loss_rise_sd for one in found],
        color=NEGATIVE,
        ecolor=INK,
        error_kw={"elinewidth": 0.9},
    )
    axes.axvline(0, color=INK, linewidth=0.7)
    axes.set_yticks(places, labels((one.field for one in found), 22))
    axes.set_ylim(max(2, len(found)) - 0.4, -0.6)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=4))
    return figure


def segments_figure(
    found: Sequence[Segment], drawn: str, name: str, overall: float, whole: float | None
) -> Figure:
    """A score by segment: a dot, hollow for few rows; and a line at the score of all rows.

    `drawn` is the score's key, `name` its name, `whole` the most that it can be, if there is such.
    """
    known = [(one, value) for one in found if (value := one.scores[drawn]) is not None]
    title = f"{name} by group; of all test rows {shown(overall)}"
    figure, axes = panel(title, 0.75 + 0.27 * max(2, len(known)), grid="x")
    axes.axvline(overall, color=ACCENT, linewidth=1, linestyle=DASHED)
    for place, (segment, value) in enumerate(known):
        fill = "none" if segment.small else NEGATIVE
        axes.plot([value], [place], "o", mfc=fill, mec=NEGATIVE, markersize=6.5)
    axes.set_yticks(
        range(len(known)), labels((f"{each.field}: {each.group}" for each, _ in known), 24)
    )
    axes.set_ylim(max(2, len(known)) - 0.4, -0.6)
    lowest = min([overall, *(value for _, value in known)])
    if whole is not None:
        axes.set_xlim(max(-0.02, lowest - 0.1), 1.02 * whole)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=4))
    return figure


def comparison_figure(
    scores: Mapping[str, float], name: str, goal: float | None, whole: float | None
) -> Figure:
    """The main metric of each model on the test part, and the goal if there is one.

    `name` is the metric's, `whole` the most that it can be, if there is such.
    """
    figure, axes = panel(f"{name} on the test part", 0.8 + 0.42 * len(scores), grid="x")
    places = np.arange(len(scores))
    values = list(scores.values())
    axes.barh(places, values, 0.6, color=[POSITIVE, *[NEGATIVE] * (len(values) - 1)])
    if goal is not None:
        axes.axvline(goal, color=INK, linewidth=1, linestyle=DASHED)
    axes.set_yticks(places, [f"{model}, {shown(value)}" for model, value in scores.items()])
    axes.set_xlim(0, None if whole is None else 1.02 * whole)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=4))
    axes.set_ylim(len(scores) - 0.4, -0.6)
    return figure
