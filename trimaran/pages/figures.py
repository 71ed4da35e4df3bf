"""Matplotlib figures inside an HTML page, in the page's colours and fonts.

A figure is drawn with the colours below. In the page each becomes a CSS variable with the same
meaning, so a figure fits a light page and a dark one.
"""

from __future__ import annotations

import base64
import io
import re
import warnings
from typing import Any

import matplotlib as mpl
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure

__all__ = ["ACCENT", "INK", "LINE", "NEGATIVE", "POSITIVE", "draw", "label", "plain_axes"]

INK = "#20262d"
"""Text and axes."""
LINE = "#c9ced6"
"""Grids and reference lines."""
NEGATIVE = "#3a6fb5"
"""The negative outcome, or the first of two series."""
POSITIVE = "#c9553b"
"""The positive outcome, or the second of two series."""
ACCENT = "#5f7f3f"
"""Anything else."""

_VARIABLES = {INK: "ink", LINE: "line", NEGATIVE: "negative", POSITIVE: "positive"}
_VARIABLES[ACCENT] = "accent"

_LARGE = 150_000

_HEAD = re.compile(r".*?(?=<svg)", re.DOTALL)
_METADATA = re.compile(r"<metadata>.*?</metadata>", re.DOTALL)
_NAMESPACES = re.compile(r'\s(?:xmlns(?::\w+)?|version)="[^"]*"')
_GROUP_IDS = re.compile(r'<g id="[^"]*"')
_FONT = re.compile(r"font: (?:\w+ )*([\d.]+)px [^;\"]*")
_SPACE = re.compile(r"\s*\n\s*")


def label(text: str, most: int = 26) -> str:
    """Text from a user's data, for a figure: one line, shortened, and never read as a formula."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    short = line if len(line) <= most else f"{line[: most - 1]}…"
    return short.replace("$", r"\$")


def plain_axes(axes: Axes, *, grid: str = "y") -> None:
    """The look of every plot: only a base line as frame, light grid lines, small text."""
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(LINE)
    axes.tick_params(colors=INK, labelsize=8, length=0)
    axes.set_axisbelow(True)
    if grid:
        axes.grid(axis="x" if grid == "x" else "y", color=LINE, linewidth=0.6)
    for text in (axes.xaxis.label, axes.yaxis.label):
        text.set_color(INK)
        text.set_fontsize(8.5)


def draw(figure: Figure, alt: str) -> Markup:
    """The figure as inline SVG; a large one as PNG in a data URL, if that is smaller.

    `alt` describes the figure to people who cannot see it. Neither form loads anything else.
    """
    figure.set_facecolor("none")
    for axes in figure.axes:
        axes.set_facecolor("none")
    vector = _svg(figure, alt)
    if len(vector) <= _LARGE:
        return vector
    pixels = base64.b64encode(_saved(figure, "png")).decode()
    if len(vector) <= len(pixels):
        return vector
    return Markup('<img class="pixels" alt="{}" src="data:image/png;base64,{}">').format(
        alt, pixels
    )


def _svg(figure: Figure, alt: str) -> Markup:
    text = _HEAD.sub("", _saved(figure, "svg").decode("utf-8"), count=1)
    text = _METADATA.sub("", text, count=1)
    head, begin, body = text.partition(">")
    head = _NAMESPACES.sub("", head)
    body = _SPACE.sub("\n", _FONT.sub(r"font-size: \1px", _GROUP_IDS.sub("<g", body)))
    for colour, name in _VARIABLES.items():
        body = body.replace(colour, f"var(--{name})")
    return Markup(f'{head} role="img" aria-label="{escape(alt)}"{begin}{body}')  # noqa: S704


def _saved(figure: Figure, format: str) -> bytes:
    file = io.BytesIO()
    settings: Any = {"svg.fonttype": "none", "svg.hashsalt": "trimaran"}
    with mpl.rc_context(settings), warnings.catch_warnings():
        # The page's fonts are used, which may have glyphs that matplotlib's lack.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(
            file,
            format=format,
            dpi=110,
            bbox_inches="tight",
            pad_inches=0.05,
            metadata={"Date": None} if format == "svg" else None,
        )
    return file.getvalue()
