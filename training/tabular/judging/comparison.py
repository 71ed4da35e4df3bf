"""The same training several times over: with several seeds, or on several folds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from training.tabular.data.split import stratified_folds, stratified_split
from training.tabular.judging.judge import judge_model
from training.tabular.judging.spread import Spread, spreads
from training.tabular.learning.config import Recipe
from training.tabular.learning.learn import Problem, Watch, learn
from training.tabular.learning.trained import TrainedRun

__all__ = ["as_document", "by_model", "cross_validate", "of_runs"]

Scored = Mapping[str, Mapping[str, Any]]
"""The scores on the judged rows, by metric, of the model and of each baseline, by name."""


def of_runs(runs: Sequence[TrainedRun]) -> list[Scored]:
    """The test scores of finished runs."""
    found: list[Scored] = []
    for run in runs:
        metrics = run.metrics()
        others = {name: each["test"] for name, each in metrics["baselines"].items()}
        found.append({metrics["model"]: metrics["test"], **others})
    return found


def cross_validate(
    problem: Problem,
    recipe: Recipe,
    folds: int,
    seed: int,
    watch: Callable[[int], Watch] | None = None,
) -> list[Scored]:
    """Train on all but one fold and score on that fold, for each fold.

    The folds are of the training and validation parts of `seed`'s split: no row of the test part
    is read. `watch` gives each fold, from 0, what is called after its epochs.
    """
    parts = stratified_split(problem.target, seed)
    rows = np.sort(np.concatenate([parts.train, parts.validation]))
    found: list[Scored] = []
    for number, split in enumerate(stratified_folds(problem.target, rows, folds, seed)):
        follow = watch(number) if watch is not None else None
        learned = learn(problem, split, recipe.plan, recipe.hyper, seed, None, follow)
        model, baselines, _ = judge_model(problem, split, learned, seed)
        others = {name: each.test.as_dict() for name, each in baselines.items()}
        found.append({recipe.hyper.network: model.test.as_dict(), **others})
    return found


def by_model(scored: Sequence[Scored]) -> dict[str, dict[str, Spread]]:
    """The spread of each metric of each model, over two trainings or more."""
    return {name: spreads([each[name] for each in scored]) for name in scored[0]}


def as_document(about: Mapping[str, Any], scored: Sequence[Scored]) -> dict[str, Any]:
    """What is written: `about`, the spreads, and every training's scores."""
    return {
        **about,
        "spread": {
            model: {name: asdict(found) for name, found in metrics.items()}
            for model, metrics in by_model(scored).items()
        },
        "scores": [dict(each) for each in scored],
    }
