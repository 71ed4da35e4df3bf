"""The figures of the page of `trimaran explore`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator

from trimaran.pages.figures import (
    ACCENT,
    INK,
    NEGATIVE,
    PANEL,
    POSITIVE,
    STRONGEST,
    TEXT,
    labels,
    plain_axes,
)
from trimaran.served.dates import as_text
from trimaran.training.tabular.evaluation.separation import Flags, Floats
from trimaran.training.tabular.exploring.description import Rate

__all__ = ["category_figures", "heatmap", "missing_figure", "number_figures"]

_BARS = 30
_MOST_SINGLE_VALUES = 25
_FAR = 20.0
_MOST_ANNOTATED = 24
_CELL = 0.4
"""Inches of a heatmap's cell, which has room for a number."""
_SCALE_STEPS = 40
_SCALE_ASPECT = 0.07
_PERCENT = FuncFormatter(lambda share, _: f"{100 * share:.3g}%")
_DOTS: dict[str, Any] = {"fmt": "o", "color": POSITIVE, "markersize": 4.5, "elinewidth": 1.3}


def number_figures(
    numbers: Floats, positive: Flags, rates: Sequence[Rate], overall: float, *, dates: bool = False
) -> tuple[Figure, Figure]:
    """The distribution of each outcome, and the positive rate by group of numbers.

    `numbers` and `positive` are `[rows]`, without missing values; `overall` is the rate of all.
    `dates` says that the numbers are days since 1970-01-01.
    """
    shares, axes = _panel(2.1)
    edges, clipped = _edges(numbers)
    for outcome, colour in ((~positive, NEGATIVE), (positive, POSITIVE)):
        heights, _ = np.histogram(clipped[outcome], edges)
        total = max(1, int(heights.sum()))
        axes.stairs(heights / total, edges, fill=True, color=colour, alpha=0.3)
        axes.stairs(heights / total, edges, color=colour, linewidth=1.3)
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(_PERCENT)
    gathered = clipped.max() < numbers.max() or clipped.min() > numbers.min()
    _title(axes, f"share of each outcome{', far tails in the end bars' if gathered else ''}")
    drawn, right = _panel(2.1)
    centres = [rate.centre for rate in rates]
    right.plot(centres, [rate.rate for rate in rates], color=POSITIVE, linewidth=1, alpha=0.5)
    right.errorbar(centres, [rate.rate for rate in rates], _reach(rates), **_DOTS)
    right.axhline(overall, color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
    right.set_ylim(_span(rates, overall))
    right.yaxis.set_major_formatter(_PERCENT)
    _title(right, "positive rate")
    for each in (axes, right):
        each.xaxis.set_major_locator(MaxNLocator(nbins=3 if dates else 5))
        each.yaxis.set_major_locator(MaxNLocator(nbins=5))
        if dates:
            each.xaxis.set_major_formatter(FuncFormatter(lambda days, _: as_text(days)[:10]))
    return shares, drawn


def category_figures(rates: Sequence[Rate], overall: float) -> tuple[Figure, Figure]:
    """Each category's share of each outcome, and its positive rate."""
    height = 0.6 + 0.3 * max(3, len(rates))
    shares, left = _panel(height, grid="x")
    drawn, right = _panel(height, grid="x")
    places = np.arange(len(rates))
    hits = np.array([rate.hits for rate in rates], dtype=np.float64)
    misses = np.array([rate.rows for rate in rates]) - hits
    for shift, counts, colour in ((-0.2, misses, NEGATIVE), (0.2, hits, POSITIVE)):
        left.barh(places + shift, counts / max(1.0, counts.sum()), 0.36, color=colour)
    _title(left, "share of each outcome")
    right.errorbar([rate.rate for rate in rates], places, xerr=_reach(rates), **_DOTS)
    right.axvline(overall, color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
    right.set_xlim(_span(rates, overall))
    _title(right, "positive rate")
    for axes in (left, right):
        axes.set_ylim(len(rates) - 0.4, -0.6)
        axes.set_yticks(places, labels((rate.label for rate in rates), 20))
        axes.xaxis.set_major_formatter(_PERCENT)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5))
    return shares, drawn


def missing_figure(names: Sequence[str], shares: Sequence[float]) -> Figure:
    """The share of missing values, 0 to 1, by column."""
    figure, axes = _panel(0.5 + 0.27 * max(2, len(names)), grid="x")
    axes.barh(np.arange(len(names)), shares, 0.6, color=ACCENT)
    axes.set_yticks(np.arange(len(names)), labels(names, 22))
    axes.set_ylim(max(2, len(names)) - 0.4, -0.6)
    axes.set_xlim(left=0)
    axes.xaxis.set_major_formatter(_PERCENT)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5))
    return figure


def heatmap(names: Sequence[str], matrix: Floats, lowest: float = -1.0) -> Figure:
    """The lower triangle of a symmetric matrix `[names, names]` of `lowest` to 1, NaN left empty.

    Positive and negative values have different colours; stronger values are less transparent. The
    bar above it is the scale.
    """
    count = len(names)
    height = _CELL * (count - 1)
    figure = Figure(figsize=(max(PANEL, height + 2.2), height + 2.4), layout="constrained")
    scale, axes = figure.subplots(2, 1, height_ratios=[0.2, max(1.0, height)])
    plain_axes(axes, grid="")
    for row in range(count):
        for column in range(row):
            value = float(matrix[row, column])
            if np.isnan(value):
                continue
            corner = column - 0.48, row - 0.48
            axes.add_patch(Rectangle(corner, 0.96, 0.96, **_tint(value)))
            if count <= _MOST_ANNOTATED:
                axes.text(
                    column, row, _short(value), size=TEXT, color=INK, ha="center", va="center"
                )
    shown = labels(names, 24)
    axes.set_xticks(range(count - 1), shown[:-1], rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(1, count), shown[1:])
    axes.set_xlim(-0.5, count - 1.5)
    axes.set_ylim(count - 0.5, 0.5)
    axes.set_aspect("equal", anchor="NW")
    axes.spines["bottom"].set_visible(False)
    plain_axes(scale, grid="")
    step = (1 - lowest) / _SCALE_STEPS
    for at in np.arange(lowest, 1 - step / 2, step):
        scale.add_patch(Rectangle((at, 0), step, 1, **_tint(at + step / 2)))
    scale.set_xlim(lowest, 1)
    scale.set_ylim(0, 1)
    scale.set_xticks(np.linspace(lowest, 1, 5))
    scale.set_yticks([])
    scale.spines["bottom"].set_visible(False)
    scale.set_anchor("W")
    scale.set_box_aspect(_SCALE_ASPECT)
    return figure


def _tint(value: float) -> dict[str, Any]:
    """The colour of a value of -1 to 1."""
    colour = POSITIVE if value > 0 else NEGATIVE
    return {"facecolor": colour, "alpha": STRONGEST * abs(value), "linewidth": 0}


def _panel(height: float, grid: str = "y") -> tuple[Figure, Axes]:
    figure = Figure(figsize=(PANEL, height), layout="constrained")
    axes = figure.subplots()
    plain_axes(axes, grid=grid)
    return figure, axes


def _title(axes: Axes, text: str) -> None:
    axes.set_title(text, loc="left", fontsize=TEXT, color=INK)


def _edges(numbers: Floats) -> tuple[Floats, Floats]:
    """Edges of the bars, and the numbers to count: a far tail is counted in the last bar."""
    distinct = np.unique(numbers)
    if len(distinct) <= _MOST_SINGLE_VALUES:
        between = (distinct[1:] + distinct[:-1]) / 2
        alone = max(0.5, 0.01 * abs(float(distinct[0])))
        step = float(np.diff(distinct).min()) / 2 if len(distinct) > 1 else alone
        return np.concatenate([[distinct[0] - step], between, [distinct[-1] + step]]), numbers
    low, first, third, high = np.quantile(numbers, [0.005, 0.25, 0.75, 0.995])
    if distinct[-1] - distinct[0] > _FAR * (third - first) and high > low:
        numbers = np.clip(numbers, low, high)
    return np.linspace(numbers.min(), numbers.max(), _BARS + 1), numbers


def _reach(rates: Sequence[Rate]) -> Floats:
    """Lengths of the error bars, `[2, groups]`."""
    ends = [(rate.rate - rate.interval[0], rate.interval[1] - rate.rate) for rate in rates]
    return np.array(ends, dtype=np.float64).reshape(-1, 2).T


def _span(rates: Sequence[Rate], overall: float) -> tuple[float, float]:
    """The axis of rates: from zero to the highest interval, with room for a dot at either end."""
    highest = max([0.05, overall, *(rate.interval[1] for rate in rates)])
    return -0.02 * highest, 1.04 * highest


def _short(value: float) -> str:
    return "0" if abs(value) < 0.005 else f"{value:.2f}".replace("0.", ".", 1)
