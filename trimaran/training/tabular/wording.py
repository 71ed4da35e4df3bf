"""Words that messages about tables share."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["nearest", "quote", "shown", "some"]

_FEW = 10
_MANY = 10_000
_LISTED = 12
_SHOWN_TEXT = 40


def nearest(name: str, names: Iterable[str]) -> str:
    """A remedy for an unknown name: the nearest of `names`, or the first of them."""
    known = list(names)
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f"did you mean {near[0]!r}?"
    more = ", …" if len(known) > _LISTED else ""
    return f"choose from {', '.join(known[:_LISTED])}{more}"


def some(count: int, noun: str) -> str:
    """`1 row is`, or `3 rows are`."""
    return f"{count} {noun} is" if count == 1 else f"{count} {noun}s are"


def quote(value: object) -> str:
    """A value as it is shown: a number, or the beginning of a text in quotes."""
    if isinstance(value, float):
        return f"{value:g}"
    text = str(value)
    return repr(text if len(text) <= _SHOWN_TEXT else f"{text[: _SHOWN_TEXT - 1]}…")


def shown(value: float) -> str:
    """A metric: three decimals below 10, else four digits."""
    if abs(value) < _FEW:
        return f"{value:.3f}"
    return f"{value:.4g}" if abs(value) < _MANY else f"{value:,.0f}"
