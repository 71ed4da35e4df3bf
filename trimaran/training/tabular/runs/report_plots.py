"""The figures of the report on a training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from sklearn.metrics import precision_recall_curve, roc_curve

from trimaran.pages.figures import ACCENT, INK, LINE, NEGATIVE, POSITIVE, label, plain_axes
from trimaran.training.tabular.evaluation.importance import Importance
from trimaran.training.tabular.evaluation.metrics import (
    Confusion,
    Flags,
    Probabilities,
    Scores,
    calibration,
)
from trimaran.training.tabular.evaluation.segments import Segment
from trimaran.training.tabular.learning.fitting import Epoch

__all__ = [
    "calibration_figure",
    "comparison_figure",
    "confusion_figure",
    "curves_figure",
    "importance_figure",
    "learning_figure",
    "segments_figure",
]

_WIDTH = 9.4
_DASHED = (0, (4, 3))
_MARK: dict[str, Any] = {"marker": "o", "markersize": 7, "color": ACCENT, "linestyle": "none"}


def learning_figure(history: Sequence[Epoch], best: int) -> Figure:
    """Left the losses by epoch, with the best epoch marked; right the learning rate."""
    figure, (left, right) = _pair(2.5, (2.2, 1))
    epochs = np.arange(1, len(history) + 1)
    for name, colour in (("train", NEGATIVE), ("validation", POSITIVE)):
        losses = [getattr(epoch, f"{name}_loss") for epoch in history]
        left.plot(epochs, losses, color=colour, linewidth=1.4, label=name)
    left.axvline(best + 1, color=ACCENT, linewidth=0.9, linestyle=_DASHED)
    left.plot([best + 1], [history[best].validation_loss], label=f"kept: epoch {best + 1}", **_MARK)
    left.set_ylim(bottom=0)
    left.legend(frameon=False, fontsize=8, labelcolor=INK)
    _titled(left, "log loss", "epoch")
    rates = [epoch.learning_rate for epoch in history]
    right.plot(epochs, rates, color=INK, linewidth=1.2)
    right.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
    right.yaxis.get_offset_text().set(size=8, color=INK)
    _titled(right, "learning rate", "epoch")
    for axes in (left, right):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def curves_figure(target: Flags, probability: Probabilities, scores: Scores) -> Figure:
    """Left the receiver's operating characteristic, right precision over recall."""
    figure, (left, right) = _pair(3.5, (1, 1))
    exact = probability.astype(np.float64)
    false_rate, true_rate, _ = roc_curve(target, exact)
    left.plot([0, 1], [0, 1], color=LINE, linewidth=1, linestyle=_DASHED)
    left.plot(false_rate, true_rate, color=POSITIVE, linewidth=1.6)
    found = scores.confusion
    negatives = found.true_negative + found.false_positive
    left.plot([found.false_positive / negatives], [found.recall], **_MARK)
    _titled(left, f"ROC, area {scores.roc_auc:.3f}", "share of negatives reported", grid="both")
    left.set_ylabel("share of positives found (recall)")
    precision, recall, _ = precision_recall_curve(target, exact)
    right.axhline(scores.positives / scores.rows, color=LINE, linewidth=1, linestyle=_DASHED)
    right.step(recall, precision, where="post", color=POSITIVE, linewidth=1.6)
    right.plot([found.recall], [found.precision], label=f"threshold {scores.threshold:g}", **_MARK)
    right.legend(frameon=False, fontsize=8, labelcolor=INK, loc="lower left")
    _titled(right, f"precision and recall, area {scores.pr_auc:.3f}", "recall", grid="both")
    right.set_ylabel("precision")
    for axes in (left, right):
        axes.set_xlim(-0.02, 1.02)
        axes.set_ylim(-0.02, 1.04)
        axes.yaxis.label.set(size=8.5, color=INK)
    return figure


def calibration_figure(target: Flags, probability: Probabilities, ece: float) -> Figure:
    """Left the share over the probability in ten groups; right both outcomes' probabilities."""
    figure, (left, right) = _pair(3.0, (1, 1))
    groups = calibration(target, probability)
    left.plot([0, 1], [0, 1], color=LINE, linewidth=1, linestyle=_DASHED)
    left.plot(
        [mean for mean, _, _ in groups],
        [share for _, share, _ in groups],
        color=POSITIVE,
        linewidth=1.2,
        marker="o",
        markersize=5,
        clip_on=False,
    )
    left.set_xlim(-0.02, 1.02)
    left.set_ylim(-0.02, 1.04)
    _titled(left, f"calibration, expected error {ece:.3f}", "mean probability", grid="both")
    left.set_ylabel("share of positives")
    left.yaxis.label.set(size=8.5, color=INK)
    edges = np.linspace(0, 1, 26)
    for rows, colour, name in ((~target, NEGATIVE, "negative"), (target, POSITIVE, "positive")):
        heights, _ = np.histogram(probability[rows], edges)
        shares = heights / max(1, heights.sum())
        right.stairs(shares, edges, fill=True, color=colour, alpha=0.45, label=name)
        right.stairs(shares, edges, color=colour, linewidth=1)
    right.legend(frameon=False, fontsize=8, labelcolor=INK, loc="upper center")
    _titled(right, "rows by probability, share of each outcome", "probability")
    return figure


def confusion_figure(found: Confusion, positive: str) -> Figure:
    """The four counts, each coloured by its share of the rows of its outcome."""
    figure = Figure(figsize=(4.2, 2.5))
    axes = figure.subplots()
    plain_axes(axes, grid="")
    counts = np.array(
        [
            [found.true_negative, found.false_positive],
            [found.false_negative, found.true_positive],
        ]
    )
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    for row, column in np.ndindex(2, 2):
        colour = ACCENT if row == column else POSITIVE
        alpha = 0.08 + 0.6 * float(shares[row, column])
        axes.add_patch(Rectangle((column - 0.48, row - 0.47), 0.96, 0.94, fc=colour, alpha=alpha))
        where: dict[str, Any] = {"ha": "center", "va": "center", "color": INK}
        axes.text(column, row - 0.1, f"{counts[row, column]:,}", size=15, **where)
        axes.text(column, row + 0.25, f"{shares[row, column]:.1%}", size=8, **where)
    other = f"not {label(positive, 12)}"
    axes.set_xticks([0, 1], [f"decided {other}", f"decided {label(positive, 12)}"])
    axes.set_yticks([0, 1], [f"is {other}", f"is {label(positive, 12)}"])
    axes.xaxis.tick_top()
    axes.spines["bottom"].set_visible(False)
    axes.set_xlim(-0.5, 1.5)
    axes.set_ylim(1.5, -0.5)
    return figure


def importance_figure(found: Sequence[Importance]) -> Figure:
    """The rise of the log loss by field, with its standard deviation."""
    figure = Figure(figsize=(_WIDTH * 0.8, 0.55 + 0.25 * max(2, len(found))))
    axes = figure.subplots()
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
    axes.set_yticks(places, [label(one.field, 34) for one in found])
    axes.set_ylim(max(2, len(found)) - 0.4, -0.6)
    _titled(axes, "rise of the log loss when the field is shuffled", "", grid="x")
    return figure


def segments_figure(found: Sequence[Segment], overall: float) -> Figure:
    """F1 by segment: a dot, hollow for few rows; and a line at the F1 of all rows."""
    shown = [segment for segment in found if segment.f1 is not None]
    figure = Figure(figsize=(_WIDTH * 0.8, 0.6 + 0.27 * max(2, len(shown))))
    axes = figure.subplots()
    axes.axvline(overall, color=ACCENT, linewidth=1, linestyle=_DASHED)
    for place, segment in enumerate(shown):
        fill = "none" if segment.small else NEGATIVE
        axes.plot([segment.f1 or 0.0], [place], "o", mfc=fill, mec=NEGATIVE, markersize=6.5)
    names = [f"{label(each.field, 32)}: {label(each.group, 18)}" for each in shown]
    axes.set_yticks(range(len(shown)), names)
    axes.set_ylim(max(2, len(shown)) - 0.4, -0.6)
    lowest = min([overall, *(each.f1 or 0.0 for each in shown)])
    axes.set_xlim(max(-0.02, lowest - 0.1), 1.02)
    _titled(axes, f"F1 by segment; the line is at {overall:.3f}, of all test rows", "", grid="x")
    return figure


def comparison_figure(scores: Mapping[str, Scores], goal: float | None) -> Figure:
    """The F1 of each model on the test part, and the goal if there is one."""
    figure = Figure(figsize=(_WIDTH * 0.8, 0.75 + 0.42 * len(scores)))
    axes = figure.subplots()
    places = np.arange(len(scores))
    f1 = [one.f1 for one in scores.values()]
    colours = [POSITIVE, *[NEGATIVE] * (len(f1) - 1)]
    axes.barh(places, f1, 0.6, color=colours)
    for place, value in enumerate(f1):
        axes.text(value + 0.008, place, f"{value:.3f}", va="center", size=8, color=INK)
    if goal is not None:
        axes.axvline(goal, color=ACCENT, linewidth=1, linestyle=_DASHED)
    axes.set_yticks(places, list(scores))
    axes.set_xlim(0, 1.08)
    axes.set_ylim(len(scores) - 0.4, -0.6)
    title = "F1 on the test part"
    _titled(axes, title if goal is None else f"{title}; the line is the goal, {goal:g}", "", "x")
    return figure


def _pair(height: float, widths: tuple[float, float]) -> tuple[Figure, tuple[Axes, Axes]]:
    figure = Figure(figsize=(_WIDTH, height))
    figure.subplots_adjust(wspace=0.22)
    one, other = figure.subplots(1, 2, width_ratios=widths)
    return figure, (one, other)


def _titled(axes: Axes, title: str, below: str, grid: str = "y") -> None:
    plain_axes(axes, grid=grid if grid in ("x", "y") else "y")
    if grid == "both":
        axes.grid(axis="x", color=LINE, linewidth=0.6)
    axes.set_title(title, loc="left", fontsize=8.5, color=INK)
    axes.set_xlabel(below, fontsize=8.5, color=INK)
