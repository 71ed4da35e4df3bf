"""The figures of the page of `trimaran explore`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter

from trimaran.pages.figures import ACCENT, INK, NEGATIVE, POSITIVE, label, plain_axes
from trimaran.training.tabular.data.separation import Flags, Floats
from trimaran.training.tabular.exploring.description import Rate

__all__ = ["category_figure", "heatmap", "missing_figure", "number_figure"]

_WIDTH = 11.2
_BARS = 30
_MOST_SINGLE_VALUES = 25
_FAR = 20.0
_MOST_ANNOTATED = 24
_PERCENT = FuncFormatter(lambda share, _: f"{100 * share:.3g}%")
_DOTS: dict[str, Any] = {"fmt": "o", "color": POSITIVE, "markersize": 4, "elinewidth": 1.2}


def number_figure(
    numbers: Floats, positive: Flags, rates: Sequence[Rate], overall: float
) -> Figure:
    """Left the distribution of each outcome, right the positive rate by group of numbers.

    `numbers` and `positive` are `[rows]`, without missing values; `overall` is the rate of all.
    """
    figure, (left, right) = _pair(2.15)
    edges, clipped = _edges(numbers)
    for outcome, colour in ((~positive, NEGATIVE), (positive, POSITIVE)):
        heights, _ = np.histogram(clipped[outcome], edges)
        total = max(1, int(heights.sum()))
        left.stairs(heights / total, edges, fill=True, color=colour, alpha=0.35)
        left.stairs(heights / total, edges, color=colour, linewidth=1.1)
    left.set_ylim(bottom=0)
    left.yaxis.set_major_formatter(_PERCENT)
    gathered = clipped.max() < numbers.max() or clipped.min() > numbers.min()
    _title(left, f"share of each outcome{', far tails in the end bars' if gathered else ''}")
    centres = [rate.centre for rate in rates]
    right.plot(centres, [rate.rate for rate in rates], color=POSITIVE, linewidth=1, alpha=0.5)
    right.errorbar(centres, [rate.rate for rate in rates], _reach(rates), **_DOTS)
    right.axhline(overall, color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
    right.set_ylim(_span(rates, overall))
    right.yaxis.set_major_formatter(_PERCENT)
    _title(right, "positive rate")
    return figure


def category_figure(rates: Sequence[Rate], overall: float) -> Figure:
    """Left each category's share of each outcome, right its positive rate."""
    figure, (left, right) = _pair(0.55 + 0.27 * max(3, len(rates)), left=0.15)
    places = np.arange(len(rates))
    hits = np.array([rate.hits for rate in rates], dtype=np.float64)
    misses = np.array([rate.rows for rate in rates]) - hits
    for shift, counts, colour in ((-0.2, misses, NEGATIVE), (0.2, hits, POSITIVE)):
        left.barh(places + shift, counts / max(1.0, counts.sum()), 0.36, color=colour)
    left.xaxis.set_major_formatter(_PERCENT)
    _title(left, "share of each outcome")
    right.errorbar([rate.rate for rate in rates], places, xerr=_reach(rates), **_DOTS)
    right.axvline(overall, color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
    right.set_xlim(_span(rates, overall))
    right.xaxis.set_major_formatter(_PERCENT)
    _title(right, "positive rate")
    for axes in (left, right):
        plain_axes(axes, grid="x")
        axes.set_ylim(len(rates) - 0.4, -0.6)
    left.set_yticks(places, [label(rate.label) for rate in rates])
    right.set_yticks(places, [""] * len(rates))
    return figure


def missing_figure(names: Sequence[str], shares: Sequence[float]) -> Figure:
    """The share of missing values, 0 to 1, by column."""
    figure = Figure(figsize=(_WIDTH * 0.7, 0.4 + 0.25 * max(2, len(names))))
    axes = figure.subplots()
    plain_axes(axes, grid="x")
    axes.barh(np.arange(len(names)), shares, 0.6, color=ACCENT)
    axes.set_yticks(np.arange(len(names)), [label(name) for name in names])
    axes.set_ylim(max(2, len(names)) - 0.4, -0.6)
    axes.set_xlim(left=0)
    axes.xaxis.set_major_formatter(_PERCENT)
    return figure


def heatmap(names: Sequence[str], matrix: Floats) -> Figure:
    """The lower triangle of a symmetric matrix `[names, names]` of -1 to 1, NaN left empty.

    Positive and negative values have different colours; stronger values are less transparent.
    """
    count = len(names)
    side = min(9.0, 1.6 + 0.36 * count)
    figure = Figure(figsize=(side, side * 0.78))
    axes = figure.subplots()
    plain_axes(axes, grid="")
    for row in range(count):
        for column in range(row):
            value = float(matrix[row, column])
            if np.isnan(value):
                continue
            colour = POSITIVE if value > 0 else NEGATIVE
            corner = column - 0.48, row - 0.48
            axes.add_patch(
                Rectangle(corner, 0.96, 0.96, facecolor=colour, alpha=0.85 * abs(value) + 0.03)
            )
            if count <= _MOST_ANNOTATED:
                axes.text(column, row, _short(value), size=6.5, color=INK, ha="center", va="center")
    shown = [label(name, 30) for name in names]
    axes.set_xticks(range(count - 1), shown[:-1], rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(1, count), shown[1:])
    axes.set_xlim(-0.5, count - 1.5)
    axes.set_ylim(count - 0.5, 0.5)
    axes.spines["bottom"].set_visible(False)
    axes.tick_params(labelsize=7.5)
    return figure


def _pair(height: float, left: float = 0.04) -> tuple[Figure, tuple[Axes, Axes]]:
    figure = Figure(figsize=(_WIDTH, height))
    figure.subplots_adjust(left=left, right=0.995, wspace=0.12)
    one, other = figure.subplots(1, 2)
    for axes in (one, other):
        plain_axes(axes)
    return figure, (one, other)


def _title(axes: Axes, text: str) -> None:
    axes.set_title(text, loc="left", fontsize=8.5, color=INK)


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
