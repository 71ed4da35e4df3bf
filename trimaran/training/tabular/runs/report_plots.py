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

from trimaran.pages.figures import (
    ACCENT,
    INK,
    LINE,
    NEGATIVE,
    PANEL,
    POSITIVE,
    STRONGEST,
    TEXT,
    labels,
    plain_axes,
)
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
    "calibration_figures",
    "comparison_figure",
    "confusion_figure",
    "curves_figures",
    "importance_figure",
    "learning_figures",
    "segments_figure",
]

_DASHED = (0, (4, 3))
_MARK: dict[str, Any] = {"marker": "o", "markersize": 7, "color": ACCENT, "linestyle": "none"}


def learning_figures(history: Sequence[Epoch], best: int) -> tuple[Figure, Figure]:
    """The losses by epoch, with the best epoch marked; and the learning rate."""
    losses, left = _panel("log loss", 2.6, below="epoch")
    epochs = np.arange(1, len(history) + 1)
    for name, colour, style in (("train", NEGATIVE, "-"), ("validation", POSITIVE, "--")):
        values = [getattr(epoch, f"{name}_loss") for epoch in history]
        left.plot(epochs, values, color=colour, linewidth=1.6, linestyle=style)
    left.axvline(best + 1, color=ACCENT, linewidth=1, linestyle=":")
    left.plot([best + 1], [history[best].validation_loss], **_MARK)
    left.set_ylim(bottom=0)
    rates, right = _panel("learning rate", 2.6, below="epoch")
    right.plot(epochs, [epoch.learning_rate for epoch in history], color=INK, linewidth=1.4)
    right.set_ylim(bottom=0)
    for axes in (left, right):
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
        axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
    return losses, rates


def curves_figures(
    target: Flags, probability: Probabilities, scores: Scores
) -> tuple[Figure, Figure]:
    """The receiver's operating characteristic, and precision over recall."""
    exact = probability.astype(np.float64)
    title = f"ROC, area {scores.roc_auc:.3f}"
    roc, left = _panel(title, 3.5, below="share of negatives reported", grid="both")
    false_rate, true_rate, _ = roc_curve(target, exact)
    left.plot([0, 1], [0, 1], color=LINE, linewidth=1, linestyle=_DASHED)
    left.plot(false_rate, true_rate, color=POSITIVE, linewidth=1.6)
    found = scores.confusion
    negatives = found.true_negative + found.false_positive
    left.plot([found.false_positive / negatives], [found.recall], **_MARK)
    left.set_ylabel("share of positives found (recall)")
    title = f"precision and recall, area {scores.pr_auc:.3f}"
    both, right = _panel(title, 3.5, below="recall", grid="both")
    precision, recall, _ = precision_recall_curve(target, exact)
    right.axhline(scores.positives / scores.rows, color=LINE, linewidth=1, linestyle=_DASHED)
    right.step(recall, precision, where="post", color=POSITIVE, linewidth=1.6)
    right.plot([found.recall], [found.precision], **_MARK)
    right.set_ylabel("precision")
    for axes in (left, right):
        _unit(axes)
    return roc, both


def calibration_figures(
    target: Flags, probability: Probabilities, ece: float
) -> tuple[Figure, Figure]:
    """The share over the probability in ten groups; and both outcomes' probabilities."""
    groups = calibration(target, probability)
    title = f"calibration, expected error {ece:.3f}"
    shares, left = _panel(title, 3.2, below="mean probability", grid="both")
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
    _unit(left)
    left.set_ylabel("share of positives")
    spread, right = _panel("rows by probability", 3.2, below="probability")
    edges = np.linspace(0, 1, 26)
    for rows, colour in ((~target, NEGATIVE), (target, POSITIVE)):
        heights, _ = np.histogram(probability[rows], edges)
        part = heights / max(1, heights.sum())
        right.stairs(part, edges, fill=True, color=colour, alpha=0.4)
        right.stairs(part, edges, color=colour, linewidth=1.2)
    right.set_ylabel("share of each outcome")
    return shares, spread


def confusion_figure(found: Confusion, positive: str) -> Figure:
    """The four counts, each coloured by its share of the rows of its outcome."""
    figure = Figure(figsize=(PANEL, 2.6), layout="constrained")
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
        alpha = 0.06 + (STRONGEST - 0.06) * float(shares[row, column])
        axes.add_patch(Rectangle((column - 0.48, row - 0.47), 0.96, 0.94, fc=colour, alpha=alpha))
        where: dict[str, Any] = {"ha": "center", "va": "center", "color": INK}
        axes.text(column, row - 0.12, f"{counts[row, column]:,}", size=1.6 * TEXT, **where)
        axes.text(column, row + 0.25, f"{shares[row, column]:.1%}", size=TEXT, **where)
    yes, no = labels([positive, f"not {positive}"], 14)
    axes.set_xticks([0, 1], [f"decided:\n{no}", f"decided:\n{yes}"])
    axes.set_yticks([0, 1], [f"is:\n{no}", f"is:\n{yes}"])
    axes.xaxis.tick_top()
    axes.spines["bottom"].set_visible(False)
    axes.set_xlim(-0.5, 1.5)
    axes.set_ylim(1.5, -0.5)
    return figure


def importance_figure(found: Sequence[Importance]) -> Figure:
    """The rise of the log loss by field, with its standard deviation."""
    figure, axes = _panel("rise of the log loss", 0.75 + 0.27 * max(2, len(found)), grid="x")
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


def segments_figure(found: Sequence[Segment], overall: float) -> Figure:
    """F1 by segment: a dot, hollow for few rows; and a line at the F1 of all rows."""
    shown = [segment for segment in found if segment.f1 is not None]
    title = f"F1 by group; of all test rows {overall:.3f}"
    figure, axes = _panel(title, 0.75 + 0.27 * max(2, len(shown)), grid="x")
    axes.axvline(overall, color=ACCENT, linewidth=1, linestyle=_DASHED)
    for place, segment in enumerate(shown):
        fill = "none" if segment.small else NEGATIVE
        axes.plot([segment.f1 or 0.0], [place], "o", mfc=fill, mec=NEGATIVE, markersize=6.5)
    axes.set_yticks(
        range(len(shown)), labels((f"{each.field}: {each.group}" for each in shown), 24)
    )
    axes.set_ylim(max(2, len(shown)) - 0.4, -0.6)
    lowest = min([overall, *(each.f1 or 0.0 for each in shown)])
    axes.set_xlim(max(-0.02, lowest - 0.1), 1.02)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=4))
    return figure


def comparison_figure(scores: Mapping[str, Scores], goal: float | None) -> Figure:
    """The F1 of each model on the test part, and the goal if there is one."""
    figure, axes = _panel("F1 on the test part", 0.8 + 0.42 * len(scores), grid="x")
    places = np.arange(len(scores))
    f1 = [one.f1 for one in scores.values()]
    axes.barh(places, f1, 0.6, color=[POSITIVE, *[NEGATIVE] * (len(f1) - 1)])
    if goal is not None:
        axes.axvline(goal, color=INK, linewidth=1, linestyle=_DASHED)
    axes.set_yticks(
        places, [f"{name}, {value:.3f}" for name, value in zip(scores, f1, strict=True)]
    )
    axes.set_xlim(0, 1.02)
    axes.set_ylim(len(scores) - 0.4, -0.6)
    return figure


def _panel(title: str, height: float, below: str = "", grid: str = "y") -> tuple[Figure, Axes]:
    figure = Figure(figsize=(PANEL, height), layout="constrained")
    axes = figure.subplots()
    plain_axes(axes, grid=grid)
    axes.set_title(title, loc="left", fontsize=TEXT, color=INK)
    axes.set_xlabel(below)
    return figure, axes


def _unit(axes: Axes) -> None:
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.04)
