"""Cross-validation; a killed one is resumed.

As with a run, the directory's name follows from everything that decides the outcome. It keeps the
scores of finished folds, and the checkpoint of the fold that was being fitted.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trimaran.system.errors import TrimaranError
from trimaran.system.files import exclusive_lock, write_text
from trimaran.training.tabular.data.split import Split
from trimaran.training.tabular.learning.checkpoints import remove_torn
from trimaran.training.tabular.learning.evaluate import evaluate_model
from trimaran.training.tabular.learning.learn import Problem, Watch, learn
from trimaran.training.tabular.runs.config import Config, Recipe
from trimaran.training.tabular.runs.trained import TrainedRun

__all__ = [
    "Scored",
    "Spread",
    "as_document",
    "by_model",
    "cross_validate",
    "directory_of",
    "of_run",
    "spread",
    "spreads",
    "standing_folds",
]

Scored = Mapping[str, Mapping[str, Any]]
"""Scores by metric, of the model and of each baseline, by name."""


def directory_of(problem: Problem, recipe: Recipe, folds: int, seed: int, out: Path) -> Path:
    """`<out>/<family>/folds/<run>-of-<folds>`, with the name of the corresponding run."""
    name = f"{Config.of(problem, recipe, seed).name}-of-{folds}"
    return out / recipe.family / "folds" / name


def standing_folds(directory: Path) -> int:
    """How many finished folds the directory has."""
    return len(list(directory.glob("fold-*.json")))


def cross_validate(
    problem: Problem,
    recipe: Recipe,
    folds: int,
    seed: int,
    out: Path,
    watch: Callable[[int], Watch] | None = None,
) -> list[Scored]:
    """Train on all but one fold and score on that fold, for each fold without scores.

    The folds are of the training and validation parts of `seed`'s split; the test part is neither
    trained on nor scored. Where the table is split by time, each fold learns from what is older
    than what it is scored on. `watch(fold)`, with the fold from 0, gives the function that is
    called after each of its epochs. Two processes with the same work wait for one another. Raises
    `TrimaranError` for a table that cannot be split this way, or that the recipe does not fit.
    """
    parts = problem.split(seed)
    rows = np.sort(np.concatenate([parts.train, parts.validation]))
    splits = problem.folds(rows, folds, seed)
    directory = directory_of(problem, recipe, folds, seed, out)
    with exclusive_lock(directory / ".lock"):
        remove_torn(directory)
        for number, split in enumerate(splits):
            scores = _scores_path(directory, number)
            checkpoint = scores.with_suffix(".pt")
            if not scores.is_file():
                follow = watch(number) if watch is not None else None
                scored = _score(problem, recipe, split, seed, checkpoint, follow)
                write_text(scores, json.dumps(scored, indent=1, allow_nan=False) + "\n")
            checkpoint.unlink(missing_ok=True)
        return [_read(_scores_path(directory, number)) for number in range(folds)]


def _score(
    problem: Problem,
    recipe: Recipe,
    split: Split,
    seed: int,
    checkpoint: Path,
    watch: Watch | None,
) -> Scored:
    learned = learn(problem, split, recipe.plan, recipe.hyper, seed, checkpoint, watch)
    model, baselines, _ = evaluate_model(problem, split, learned, seed)
    others = {name: each.test.as_dict() for name, each in baselines.items()}
    return {recipe.hyper.network: model.test.as_dict(), **others}


def _scores_path(directory: Path, number: int) -> Path:
    return directory / f"fold-{number + 1}.json"


def _read(path: Path) -> Scored:
    try:
        scored: Scored = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise TrimaranError(
            f"{path} cannot be read ({type(error).__name__}); delete it to train its fold again"
        ) from error
    return scored


@dataclass(frozen=True)
class Spread:
    """The mean and the sample standard deviation, which divides by one less than the count."""

    mean: float
    sd: float


def spread(values: Sequence[float]) -> Spread:
    """The spread of two or more values."""
    return Spread(float(np.mean(values)), float(np.std(values, ddof=1)))


def spreads(scores: Sequence[Mapping[str, Any]], metrics: Iterable[str]) -> dict[str, Spread]:
    """The spread of each metric, over the scores of two or more trainings."""
    return {name: spread([float(each[name]) for each in scores]) for name in metrics}


def of_run(run: TrainedRun) -> Scored:
    """The test scores of a finished run."""
    metrics = run.metrics()
    others = {name: each["test"] for name, each in metrics["baselines"].items()}
    return {metrics["model"]: metrics["test"], **others}


def by_model(scored: Sequence[Scored], metrics: Collection[str]) -> dict[str, dict[str, Spread]]:
    """The spread of each metric of each model, over two or more trainings."""
    return {name: spreads([each[name] for each in scored], metrics) for name in scored[0]}


def as_document(
    about: Mapping[str, Any], scored: Sequence[Scored], metrics: Collection[str]
) -> dict[str, Any]:
    """A JSON document of `about`, the spreads, and every training's scores."""
    return {
        **about,
        "spread": {
            model: {name: asdict(found) for name, found in spreads_of.items()}
            for model, spreads_of in by_model(scored, metrics).items()
        },
        "scores": [dict(each) for each in scored],
    }
