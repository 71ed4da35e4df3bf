"""A progress bar on the terminal for a training of texts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from trimaran.system.console import console
from trimaran.training.text.fitting import Watch

__all__ = ["shown"]


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
