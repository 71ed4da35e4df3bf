"""What a client sent and a model cannot use, in a message of bounded length."""

from __future__ import annotations

import reprlib

__all__ = ["BusyError", "FaultError", "RefusedError", "shortened", "shown"]

_MOST_SHOWN = 40

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 3 * _MOST_SHOWN
_SHORT.maxlevel = 3


class RefusedError(ValueError):
    """The client's fault: what was found, where, and what is expected."""


class BusyError(RefusedError):
    """Nobody's fault: the same request may be answered later."""


class FaultError(Exception):
    """The model's fault, in words that a client may read."""


def shortened(text: str, most: int) -> str:
    """The text itself, or its beginning where it has more than `most` characters."""
    return text if len(text) <= most else f"{text[: most - 3]}..."


def shown(value: object, most: int = _MOST_SHOWN) -> str:
    """A value as Python writes it, in `most` characters, however long or nested it is.

    What cannot be printed is escaped, half of a surrogate pair too.
    """
    if isinstance(value, (str, bytes)):
        value = value[: most + 1]
    return shortened(_SHORT.repr(value), most)
