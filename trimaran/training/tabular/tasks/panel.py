"""What figures of reports share: their panel, and how a point is marked."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from trimaran.pages.figures import ACCENT, INK, PANEL, TEXT, plain_axes

__all__ = ["DASHED", "MARK", "panel", "unit"]

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
