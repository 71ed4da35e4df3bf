"""The console on which tables and progress are printed."""

from __future__ import annotations

import sys

from rich.console import Console

__all__ = ["console", "printable"]

_UNBOUNDED_WIDTH = 160


def console(*, stderr: bool = False) -> Console:
    """A console as wide as the terminal, or wide enough for every table where there is none."""
    file = sys.stderr if stderr else sys.stdout
    found = Console(file=file)
    return found if found.is_terminal else Console(file=file, width=_UNBOUNDED_WIDTH)


def printable(text: str) -> str:
    """A text of another program as one line: what would control a terminal becomes a space."""
    return "".join(character if character.isprintable() else " " for character in text)
