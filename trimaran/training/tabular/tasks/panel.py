"""What figures of reports share: their panel, and how a point is marked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from trimaran.pages.figures import ACCENT, INK, LINE, PANEL, POSITIVE, TEXT, plain_axes

__all__ = ["DASHED", "MARK", "draw_calibration", "panel", "unit"]

DASHED = (0, (4, 3))
MARK: dict[str, Any] = {"marker": "o", "markersize": 7, "color": ACCENT, "linestyle": "none"}


def panel(title: str, height: float, below: str = "", grid: str = "y") -> tuple[Figure, Axes]:
    """A figure of one plot, with a title and a name of its horizontal axis."""
    figure = Figure(figsize=(PANEL, height), layout="constrained")
    axes = figure.subplots()
    plain_axes(axes, grid=grid)
    axes.set_title(title, loc="left", fontsize=TEXT, color=INK)
    axes.set_xlabel(below)
    return figure, axes


def unit(axes: Axes) -> None:
    """Both axes from 0 to 1."""
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.04)


def draw_calibration(axes: Axes, groups: Sequence[tuple[float, float, int]]) -> None:
    """The share over the mean probability of groups of rows, and the line on which they are equal.

    A group is a mean probability, a share, and its number of rows.
    """
    axes.plot([0, 1], [0, 1], color=LINE, linewidth=1, linestyle=DASHED)
    axes.plot(
        [mean for mean, _, _ in groups],
        [share for _, share, _ in groups],
        color=POSITIVE,
        linewidth=1.2,
        marker="o",
        markersize=5,
        clip_on=False,
    )
    unit(axes)
