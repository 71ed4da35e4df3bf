"""Training with a progress bar on the terminal: the epoch and its validation loss."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from trimaran.system.console import console
from trimaran.training.tabular.learning.fitting import Epoch
from trimaran.training.tabular.learning.learn import Problem, Watch
from trimaran.training.tabular.runs import cross_validation, tracking
from trimaran.training.tabular.runs import run as runs
from trimaran.training.tabular.runs.config import Config, Recipe
from trimaran.training.tabular.runs.cross_validation import Scored
from trimaran.training.tabular.runs.search import search
from trimaran.training.tabular.runs.trained import TrainedRun
from trimaran.training.tabular.tasks.task import Predictions

__all__ = ["SEARCHES", "cross_validate", "track", "train"]

SEARCHES = "searches.db"
"""The SQLite file of all searches, below a family's directory."""


def train(
    problem: Problem, recipe: Recipe, seed: int, out: Path, trials: int, objective: str | None
) -> TrainedRun:
    """Search hyperparameters in `trials` trials, if not 0; then train, or find the run."""
    if trials:
        with _bar(recipe.hyper.epochs) as bar:
            storage = out / recipe.family / SEARCHES
            watch = bar.of("trial {} of " + str(trials))
            found = search(problem, recipe, seed, trials, objective, storage, watch)
        recipe = replace(recipe, hyper=found)
    began = time.monotonic()
    standing = TrainedRun(out / recipe.family / Config.of(problem, recipe, seed).name)
    if standing.is_finished:
        _say(f"{standing.directory} is already finished; it is reused")
        return standing
    with _bar(recipe.hyper.epochs) as bar:
        name = f"{recipe.hyper.network}, seed {seed}"
        run = runs.train(problem, recipe, seed, out, bar.watch(name), bar.describe)
    _say(f"{run.directory} was finished in {time.monotonic() - began:.1f} s")
    return run


def cross_validate(
    problem: Problem, recipe: Recipe, folds: int, seed: int, out: Path
) -> list[Scored]:
    """Train and score each fold, or find its scores: see `cross_validation`."""
    directory = cross_validation.directory_of(problem, recipe, folds, seed, out)
    standing = cross_validation.standing_folds(directory)
    if standing:
        _say(f"{standing} of {folds} folds are already finished in {directory}; they are reused")
    with _bar(recipe.hyper.epochs) as bar:
        watch = bar.of("fold {} of " + str(folds))
        return cross_validation.cross_validate(problem, recipe, folds, seed, out, watch)


def track(run: TrainedRun, out: Path) -> None:
    """Log a run to MLflow, and print where."""
    fresh = tracking.track(run, out)
    done = "was logged to" if fresh else "is in"
    _say(f"{run.directory.name} {done} {tracking.store_of(out)}")


class _Bar:
    def __init__(self, progress: Progress, epochs: int) -> None:
        self._progress = progress
        self._task = progress.add_task("", total=epochs, loss="")

    def watch(self, name: str) -> Watch:
        """Follow a fit, also a resumed one."""
        self._progress.reset(self._task, description=name, loss="")

        def follow(number: int, epoch: Epoch, predictions: Predictions) -> None:
            loss = f"validation loss {epoch.validation_loss:.4f}"
            self._progress.update(self._task, completed=number + 1, loss=loss)

        return follow

    def of(self, name: str) -> Callable[[int], Watch]:
        """Follow several fits; `name` has a place for the number, from 1."""
        return lambda number: self.watch(name.format(number + 1))

    def describe(self, stage: str) -> None:
        """Show the work after the last epoch."""
        self._progress.update(self._task, description=stage)


@contextmanager
def _bar(epochs: int) -> Iterator[_Bar]:
    columns = (
        SpinnerColumn(),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
        TextColumn("{task.fields[loss]}"),
    )
    screen = console(stderr=True)
    shown = screen.is_terminal
    with Progress(*columns, console=screen, transient=True, disable=not shown) as progress:
        yield _Bar(progress, epochs)


def _say(sentence: str) -> None:
    console().print(sentence, markup=False, highlight=False, soft_wrap=True)
