"""The figures of a report on an outcome that is or is not."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
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
from trimaran.training.tabular.evaluation.metrics import (
    Confusion,
    Flags,
    Probabilities,
    Scores,
    calibration,
)
from trimaran.training.tabular.tasks.panel import DASHED, MARK, draw_calibration, panel, unit

__all__ = ["calibration_figures", "confusion_figure", "curves_figures"]


def curves_figures(
    target: Flags, probability: Probabilities, scores: Scores
) -> tuple[Figure, Figure]:
    """The receiver's operating characteristic, and precision over recall."""
    exact = probability.astype(np.float64)
    title = f"ROC, area {scores.roc_auc:.3f}"
    roc, left = panel(title, 3.5, below="share of negatives reported", grid="both")
    false_rate, true_rate, _ = roc_curve(target, exact)
    left.plot([0, 1], [0, 1], color=LINE, linewidth=1, linestyle=DASHED)
    left.plot(false_rate, true_rate, color=POSITIVE, linewidth=1.6)
    found = scores.confusion
    negatives = found.true_negative + found.false_positive
    left.plot([found.false_positive / negatives], [found.recall], **MARK)
    left.set_ylabel("share of positives found (recall)")
    title = f"precision and recall, area {scores.pr_auc:.3f}"
    both, right = panel(title, 3.5, below="recall", grid="both")
    precision, recall, _ = precision_recall_curve(target, exact)
    right.axhline(scores.positives / scores.rows, color=LINE, linewidth=1, linestyle=DASHED)
    right.step(recall, precision, where="post", color=POSITIVE, linewidth=1.6)
    right.plot([found.recall], [found.precision], **MARK)
    right.set_ylabel("precision")
    for axes in (left, right):
        unit(axes)
    return roc, both


def calibration_figures(
    target: Flags, probability: Probabilities, ece: float
) -> tuple[Figure, Figure]:
    """The share over the probability in ten groups; and both outcomes' probabilities."""
    groups = calibration(target, probability)
    title = f"calibration, expected error {ece:.3f}"
    shares, left = panel(title, 3.2, below="mean probability", grid="both")
    draw_calibration(left, groups)
    left.set_ylabel("share of positives")
    spread, right = panel("rows by probability", 3.2, below="probability")
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
