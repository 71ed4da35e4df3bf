"""Matplotlib figures inside an HTML page, in the page's colours and fonts.

A figure is drawn with the colours below. In the page each becomes a CSS variable with the same
meaning, so a figure fits a light page and a dark one. The colours are Okabe and Ito's, which stay
distinct for people who see few colours; `SERIES` adds a dash pattern to each. A legend is HTML
(`trimaran.pages.page.legend`), so it covers no curve and wraps.

A figure `PANEL` inches wide has half of a wide page, and fits a telephone.
"""

from __future__ import annotations

import io
import math
import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise, takewhile
from typing import Any, Literal

import matplotlib as mpl
from markupsafe import Markup, escape
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import Collection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

__all__ = [
    "ACCENT",
    "INK",
    "LINE",
    "NEGATIVE",
    "PANEL",
    "POSITIVE",
    "SERIES",
    "STRONGEST",
    "TEXT",
    "Look",
    "css",
    "draw",
    "label",
    "labels",
    "plain_axes",
]

INK = "#20262d"
"""Text and axes."""
LINE = "#c9ced6"
"""Grids and reference lines."""
NEGATIVE = "#0072b2"
"""The negative outcome, or the first of two series."""
POSITIVE = "#d55e00"
"""The positive outcome, or the second of two series."""
ACCENT = "#009e73"
"""Anything else."""

PANEL = 4.2
"""Inches."""
TEXT = 10.0
"""The size of a figure's text, in points."""
STRONGEST = 0.5
"""The least transparent that an area below text may be, so that the text stays readable."""


@dataclass(frozen=True)
class Look:
    """How one of several series is drawn: its colour, and its line as matplotlib names it."""

    colour: str
    style: Literal["-", "--", ":"] = "-"


SERIES = (
    Look(NEGATIVE, "-"),
    Look(POSITIVE, "--"),
    Look(ACCENT, ":"),
    Look("#cc79a7", "-"),
    Look("#e69f00", "--"),
    Look("#56b4e9", ":"),
    Look(INK, "-"),
)
"""As many series as one figure may show, each unlike the others."""

_VARIABLES = {INK: "ink", LINE: "line", NEGATIVE: "negative", POSITIVE: "positive"}
_VARIABLES |= {ACCENT: "accent", "#000000": "ink", "#ffffff": "paper"}

_LARGE = 150_000
_LEAST_PX = 11
_PX_PER_POINT = 96 / 72

_HEAD = re.compile(r".*?(?=<svg)", re.DOTALL)
_METADATA = re.compile(r"<metadata>.*?</metadata>", re.DOTALL)
_NAMESPACES = re.compile(r'\s(?:xmlns(?::\w+)?|version|width|height)="[^"]*"')
_WIDTH = re.compile(r'width="([\d.]+)pt"')
_GROUP_IDS = re.compile(r'<g id="[^"]*"')
_FONT = re.compile(r"font: (?:\w+ )*([\d.]+)px [^;\"]*")
_SIZE = re.compile(r"font-size: ([\d.]+)px")
_SPACE = re.compile(r"\s*\n\s*")


def label(text: str, most: int = 26) -> str:
    """Text from a user's data, for a figure: one line, shortened, and never read as a formula."""
    return _escaped(_shortened(_one_line(text), most, 0))


def labels(texts: Iterable[str], most: int = 26) -> list[str]:
    """The same for several that stand side by side: what distinguishes them is not cut off.

    `most` is 12 or more characters. Texts that are alike nonetheless are numbered.
    """
    lines = [_one_line(text) for text in texts]
    ordered = sorted(set(lines))
    shared = dict.fromkeys(lines, 0)
    for one, other in pairwise(ordered):
        alike = takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))
        same = sum(1 for _ in alike)
        shared[one], shared[other] = max(shared[one], same), max(shared[other], same)
    found: list[str] = []
    for line in lines:
        short = _shortened(line, most, shared[line])
        number = 1
        while short in found:
            number += 1
            tail = f"… ({number})"
            short = f"{line[: most - len(tail)]}{tail}"
        found.append(short)
    return [_escaped(short) for short in found]


def plain_axes(axes: Axes, *, grid: str = "y") -> None:
    """The look of every plot: only a base line as frame, light grid lines, one size of text.

    `grid` is `x`, `y`, `both` or nothing.
    """
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(LINE)
    axes.tick_params(colors=INK, labelsize=TEXT, length=0)
    axes.tick_params(axis="x", pad=7)
    axes.set_axisbelow(True)
    if grid:
        axes.grid(axis=grid, color=LINE, linewidth=0.6)  # type: ignore[arg-type]
    for text in (
        axes.xaxis.label,
        axes.yaxis.label,
        axes.xaxis.get_offset_text(),
        axes.yaxis.get_offset_text(),
    ):
        text.set_color(INK)
        text.set_fontsize(TEXT)


def css(colour: str) -> str:
    """A colour of this module as a page's style names it."""
    return f"var(--{_VARIABLES[colour]})" if colour in _VARIABLES else colour


def draw(figure: Figure, alt: str) -> Markup:
    """The figure as inline SVG; in a large one, the curves and points of the data are pixels.

    `alt` describes the figure to people who cannot see it. It becomes no wider than it was drawn,
    and no narrower than its smallest text allows. Nothing else is loaded.
    """
    figure.set_facecolor("none")
    for axes in figure.axes:
        axes.set_facecolor("none")
    if figure.get_layout_engine() is None:
        figure.set_layout_engine("constrained")
    vector = _svg(figure, alt)
    if len(vector) <= _LARGE:
        return vector
    for artist in figure.findobj(_is_data):
        artist.set_rasterized(True)
    pixels = _svg(figure, alt)
    return min(vector, pixels, key=len)


def _is_data(artist: Artist) -> bool:
    return isinstance(artist, Line2D | Collection) and artist.axes is not None


def _svg(figure: Figure, alt: str) -> Markup:
    text = _HEAD.sub("", _saved(figure), count=1)
    text = _METADATA.sub("", text, count=1)
    head, begin, body = text.partition(">")
    width = _WIDTH.search(head)
    head = _NAMESPACES.sub("", head)
    body = _SPACE.sub("\n", _FONT.sub(r"font-size: \1px", _GROUP_IDS.sub("<g", body)))
    for colour in _VARIABLES:
        body = body.replace(colour, css(colour))
    points = float(width[1]) if width else figure.get_figwidth() * 72
    smallest = min(map(float, _SIZE.findall(body)), default=math.inf)
    natural, least = points * _PX_PER_POINT, points * _LEAST_PX / smallest
    size = f"width: {max(natural, least):.1f}px; min-width: {math.ceil(least)}px"
    return Markup(  # noqa: S704
        f'{head} role="img" aria-label="{escape(alt)}" style="{size}"{begin}{body}'
    )


def _saved(figure: Figure) -> str:
    file = io.BytesIO()
    settings: Any = {"svg.fonttype": "none", "svg.hashsalt": "trimaran"}
    with mpl.rc_context(settings), warnings.catch_warnings():
        # The page's fonts are used, which may have glyphs that matplotlib's lack.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        # Then the figure grows to hold its text.
        warnings.filterwarnings("ignore", message="constrained_layout not applied")
        figure.savefig(
            file,
            format="svg",
            dpi=144,
            bbox_inches="tight",
            pad_inches=0.1,
            metadata={"Date": None},
        )
    return file.getvalue().decode("utf-8")


def _one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _shortened(line: str, most: int, shared: int) -> str:
    """The line's beginning, and where it is unlike others: after `shared` characters."""
    if len(line) <= most:
        return line
    if shared < most - 1:
        return f"{line[: most - 1]}…"
    head = most // 3
    room = most - head - 1
    start = min(shared, len(line) - room)
    tail = line[start : start + room]
    return f"{line[:head]}…{tail if start + room == len(line) else f'{tail[:-1]}…'}"


def _escaped(line: str) -> str:
    return line.replace("$", r"\$")
