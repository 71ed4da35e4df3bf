"""A self-contained HTML page of sections, tables and figures; it needs no network and no script.

    page = Page("Churn", "5000 customers")
    page.section("Summary", facts([("customers", 5000)]), text("All of one company."))
    page.section("Ages", figure(drawn, "Ages of the customers.", "a histogram of ages"))
    html = page.html()

A `str` is text and is escaped; only these functions make HTML.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.resources import files
from typing import Literal

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup, escape
from matplotlib.figure import Figure

from trimaran.pages.figures import Look, css, draw
from trimaran.pages.palette import palette

__all__ = [
    "Cell",
    "Page",
    "badge",
    "beside",
    "card",
    "facts",
    "figure",
    "legend",
    "photograph",
    "table",
    "text",
]

Cell = str | Markup | float | None
"""Text, HTML from this module, or a number; None and NaN are shown as a dash."""
Kind = Literal["plain", "good", "warning", "error"]

_DASH = "\N{EN DASH}"
_SHORT = 24
"""A column whose texts have no more characters is not broken into lines."""
_BORDERS = {"-": "solid", "--": "dashed", ":": "dotted"}


class Page:
    """A page with a table of contents, filled from top to bottom.

    With `refresh_s`, a browser reloads it after that many seconds.
    """

    def __init__(self, title: str, subtitle: str = "", refresh_s: int | None = None) -> None:
        self.title = title
        self.subtitle = subtitle
        self.refresh_s = refresh_s
        self._sections: list[tuple[str, Markup]] = []

    def section(self, title: str, *blocks: Markup) -> None:
        """Add a section of blocks, and list it in the table of contents."""
        self._sections.append((title, Markup("\n").join(blocks)))

    def html(self) -> str:
        """The document."""
        return _template().render(
            palette=palette(),
            title=self.title,
            subtitle=self.subtitle,
            refresh_s=self.refresh_s,
            sections=self._sections,
        )


def text(content: str, kind: Kind = "plain") -> Markup:
    """A paragraph; kinds other than `plain` have a coloured bar."""
    return Markup('<p class="text {}">{}</p>').format(kind, content)


def badge(content: str, kind: Kind = "plain") -> Markup:
    """A word in a coloured frame, for a table's cell."""
    return Markup('<span class="badge {}">{}</span>').format(kind, content)


def facts(pairs: Iterable[tuple[str, Cell]]) -> Markup:
    """Names and values, as large tiles side by side."""
    tile = Markup("<div><dt>{}</dt><dd>{}</dd></div>")
    return Markup('<dl class="facts">{}</dl>').format(
        Markup("").join(tile.format(name, _shown(value)) for name, value in pairs)
    )


def table(headers: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Markup:
    """A table; columns of numbers are aligned to the right. A wide one scrolls sideways."""
    body = [tuple(row) for row in rows]
    sides = [_class([row[place] for row in body]) for place in range(len(headers))]
    head = Markup("").join(
        Markup('<th scope="col"{}>{}</th>').format(side, name)
        for side, name in zip(sides, headers, strict=True)
    )
    lines = Markup("\n").join(
        Markup("<tr>{}</tr>").format(
            Markup("").join(
                Markup("<td{}>{}</td>").format(side, _shown(cell))
                for side, cell in zip(sides, row, strict=True)
            )
        )
        for row in body
    )
    return Markup(
        '<div class="wide"><table><thead><tr>{}</tr></thead><tbody>\n{}\n</tbody></table></div>'
    ).format(head, lines)


def figure(drawn: Figure, caption: str, alt: str) -> Markup:
    """A figure with a caption; `alt` describes it to people who cannot see it.

    One that is wider than its place scrolls sideways.
    """
    below = Markup("<figcaption>{}</figcaption>").format(caption) if caption else ""
    return Markup('<figure><div class="wide">{}</div>{}</figure>').format(draw(drawn, alt), below)


def beside(*blocks: Markup) -> Markup:
    """Blocks side by side, or below one another where the window is narrow."""
    return Markup('<div class="beside">{}</div>').format(
        Markup("").join(Markup("<div>{}</div>").format(block) for block in blocks)
    )


def legend(pairs: Iterable[tuple[str, str | Look]]) -> Markup:
    """The meaning of colours and lines, to stand before the figures that have them.

    Pairs of text and the look of a series, or `negative`, `positive`, `accent` or `ink`.
    """
    entry = Markup("<span>{}{}</span>")
    return Markup('<p class="legend">{}</p>').format(
        Markup(" ").join(entry.format(_sample(look), meaning) for meaning, look in pairs)
    )


def card(title: str, about: str, *blocks: Markup) -> Markup:
    """Blocks in a frame, below a title and a line about them."""
    return Markup('<article><h3>{}</h3><p class="about">{}</p>\n{}</article>').format(
        title, about, Markup("\n").join(blocks)
    )


def photograph(jpeg: bytes, alt: str) -> Markup:
    """A small picture of a JPEG file, for a table's cell; `alt` describes it."""
    content = base64.b64encode(jpeg).decode()
    return Markup('<img class="photograph" src="data:image/jpeg;base64,{}" alt="{}">').format(
        content, alt
    )


@cache
def _template() -> Template:
    source = files("trimaran.pages").joinpath("page.html").read_text(encoding="utf-8")
    return Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    ).from_string(source)


def _sample(look: str | Look) -> Markup:
    if isinstance(look, str):
        return Markup('<i style="background: var(--{})"></i>').format(look)
    return Markup('<i class="line" style="border-top: 3px {} {}"></i>').format(
        _BORDERS[look.style], css(look.colour)
    )


def _class(cells: Sequence[Cell]) -> Markup:
    if _all_numbers(cells):
        return Markup(' class="number"')
    texts = [cell for cell in cells if isinstance(cell, str) and not isinstance(cell, Markup)]
    return Markup(' class="short"') if all(len(each) <= _SHORT for each in texts) else Markup("")


def _shown(cell: Cell) -> Markup:
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return escape(_DASH)
    if isinstance(cell, int | float):
        return escape(f"{cell:,}" if isinstance(cell, int) else _significant(cell))
    return escape(cell)


def _significant(number: float) -> str:
    """Four significant digits, without an exponent below a million."""
    rounded = float(f"{number:.3e}")
    if not rounded:
        return "0"
    if not 1e-4 <= abs(rounded) < 1e6:
        return f"{number:.3e}"
    shown = f"{rounded:,.{max(0, 3 - math.floor(math.log10(abs(rounded))))}f}"
    return shown.rstrip("0").rstrip(".") if "." in shown else shown


def _all_numbers(cells: Sequence[Cell]) -> bool:
    return any(cell is not None for cell in cells) and all(
        cell is None or isinstance(cell, int | float) for cell in cells
    )
