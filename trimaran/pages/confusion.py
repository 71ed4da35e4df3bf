"""A confusion matrix, drawn: which classes are taken for which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from trimaran.pages.figures import (
    ACCENT,
    INK,
    PANEL,
    POSITIVE,
    STRONGEST,
    TEXT,
    labels,
    plain_axes,
)

__all__ = ["confusion_figure"]

_CELL = 0.62


def confusion_figure(counts: npt.NDArray[np.int64], classes: Sequence[str]) -> Figure:
    """Rows by true and decided class, int64 `[classes, classes]`.

    Each count is coloured by its share of the rows of its true class.
    """
    count = len(classes)
    drawn = Figure(
        figsize=(max(PANEL, 1.6 + _CELL * count), 1.1 + 0.5 * count), layout="constrained"
    )
    axes = drawn.subplots()
    plain_axes(axes, grid="")
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    where: dict[str, Any] = {"ha": "center", "va": "center", "color": INK, "size": TEXT}
    for row, column in np.ndindex(count, count):
        colour = ACCENT if row == column else POSITIVE
        alpha = 0.04 + (STRONGEST - 0.04) * float(shares[row, column])
        axes.add_patch(Rectangle((column - 0.48, row - 0.47), 0.96, 0.94, fc=colour, alpha=alpha))
        axes.text(column, row, f"{counts[row, column]:,}", **where)
    shown_labels = labels(classes, 16)
    axes.set_xticks(range(count), shown_labels, rotation=45, ha="left", rotation_mode="anchor")
    axes.set_yticks(range(count), shown_labels)
    axes.set_ylabel("true")
    axes.set_xlabel("decided")
    axes.xaxis.set_label_position("top")
    axes.xaxis.tick_top()
    axes.spines["bottom"].set_visible(False)
    axes.set_xlim(-0.5, count - 0.5)
    axes.set_ylim(count - 0.5, -0.5)
    return drawn
