"""How tables and progress are printed."""

from __future__ import annotations

from rich.console import Console

__all__ = ["console"]

_UNBOUNDED_WIDTH = 160


def console(*, stderr: bool = False) -> Console:
    """A console as wide as the terminal, or wide enough for every table where there is none."""
    found = Console(stderr=stderr)
    return found if found.is_terminal else Console(stderr=stderr, width=_UNBOUNDED_WIDTH)
