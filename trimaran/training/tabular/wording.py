"""Words that messages about tables share."""

from __future__ import annotations

from trimaran.system.toml_text import nearest

__all__ = ["nearest", "quote", "shown", "some"]

_FEW = 10
_MANY = 10_000
_SHOWN_TEXT = 40


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
