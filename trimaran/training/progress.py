"""What a long training says of itself, and a progress bar on the terminal that shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from trimaran.system.console import console

__all__ = ["Watch", "shown"]

Watch = Callable[[str, int, int], None]
"""Called with what is being done, how many steps of it are done, and how many there are."""


@contextmanager
def shown() -> Iterator[Watch]:
    """A function that shows what it is told, on standard error where that is a terminal."""
    screen = console(stderr=True)
    columns = BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    bar = Progress(
        *columns,
        TextColumn("{task.description}"),
        console=screen,
        transient=True,
        disable=not screen.is_terminal,
    )
    with bar:
        task = bar.add_task("", total=None)
        yield lambda what, done, total: bar.update(
            task, description=what, completed=done, total=total
        )
