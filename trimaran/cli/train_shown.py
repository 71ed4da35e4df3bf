"""How `trimaran train` shows the training of texts, photographs and choices."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from trimaran.system.console import console

__all__ = ["say", "train_shown"]

Run = TypeVar("Run")


def train_shown(
    train: Callable[..., Run], source: str, options: Mapping[str, Any]
) -> tuple[Run, float]:
    """Train with a progress bar; the run, and how many seconds it took.

    `options` are those of `train`, None where nothing is said.
    """
    from trimaran.training.progress import shown

    began = time.monotonic()
    with shown() as watch:
        given = {name: value for name, value in options.items() if value is not None}
        run = train(source, **given, watch=watch)
    return run, time.monotonic() - began


def say(lines: Iterable[str]) -> None:
    """Print lines as they are."""
    for line in lines:
        console().print(line, markup=False, highlight=False, soft_wrap=True)
