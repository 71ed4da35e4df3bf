"""One training from beginning to end, in its own directory.

The directory's name follows from everything that decides the outcome, so the same command finds
the same directory: a finished run is used again, and a killed one is resumed from its checkpoint.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from trimaran.served.distribution import Feature, Reference, described, number_edges
from trimaran.served.transform import Transform
from trimaran.system.files import exclusive_lock, write_bytes, write_text
from trimaran.training.tabular.data.split import Split
from trimaran.training.tabular.features.fit import table_of
from trimaran.training.tabular.learning.checkpoints import remove_torn, save_tensors
from trimaran.training.tabular.learning.evaluate import Evaluation, evaluate
from trimaran.training.tabular.learning.learn import Learned, Problem, Watch, learn
from trimaran.training.tabular.runs.background import BACKGROUND, background_text
from trimaran.training.tabular.runs.config import Config, Recipe
from trimaran.training.tabular.runs.report import report
from trimaran.training.tabular.runs.trained import TrainedRun

__all__ = ["CHECKPOINT", "reference_of", "train"]

CHECKPOINT = "checkpoint.pt"

_SAMPLES = 1024


def train(
    problem: Problem,
    recipe: Recipe,
    seed: int,
    out: Path,
    watch: Watch | None = None,
    stage: Callable[[str], None] = lambda name: None,
) -> TrainedRun:
    """Train one model below `<out>/<family>`, or find it there.

    `watch` is called after each fitted epoch, `stage` with the name of each later step. Two
    processes with the same work wait for one another. Raises `TrimaranError`.
    """
    config = Config.of(problem, recipe, seed)
    run = TrainedRun(out / recipe.family / config.name)
    if run.is_finished:
        return run
    split = problem.split(seed)
    with exclusive_lock(run.directory / ".lock"):
        if not run.is_finished:
            _train(problem, config, split, run.directory, watch, stage)
    return run


def reference_of(
    name: str, problem: Problem, split: Split, learned: Learned, evaluation: Evaluation
) -> Reference:
    """The distribution of the training part, from which served records may drift.

    It has bins for every field, those of a number being deciles, and for the task's answers. Of a
    date it has the deciles of its days, or its weekdays (`served.dates.Date.counted`), and of a
    text those of its number of words.
    """
    transform = Transform(learned.data)
    table = table_of(problem.rows(split.train), problem.schema)
    codes = transform.encode(table.categories)
    numbers = transform.counted(table.numbers, table.texts)
    names = [*transform.number_names, *(date.counted for date in learned.data.dates)]
    names += [text.counted for text in learned.data.texts]
    features = [
        Feature(number, "number", (), number_edges(column).tolist())
        for number, column in zip(names, numbers.T, strict=True)
    ]
    features += [
        Feature(category.name, "category", (), values=category.vocabulary)
        for category in learned.data.categories
    ]
    predicted = evaluation.predictions[split.train]
    found = problem.task.answered(name, predicted, learned.chosen, evaluation.model.test)
    bins = Reference([*features, *found.features], dict(found.judged))
    return described(bins, numbers, codes, found.values)


def _train(
    problem: Problem,
    config: Config,
    split: Split,
    directory: Path,
    watch: Watch | None,
    stage: Callable[[str], None],
) -> None:
    remove_torn(directory)
    recipe, seed = config.recipe, config.seed
    checkpoint = directory / CHECKPOINT
    write_text(directory / "config.json", _json({**config.as_dict(), **_by_time(problem, split)}))
    learned = learn(problem, split, recipe.plan, recipe.hyper, seed, checkpoint, watch)
    write_text(directory / "transform.json", learned.data.to_json())
    save_tensors(directory / "weights.pt", learned.fitted.network.state_dict())
    write_bytes(directory / "samples.npy", _samples(learned, seed))
    kept = background_text(problem.rows(split.train), problem.schema, seed)
    write_text(directory / BACKGROUND, kept)
    stage("scoring")
    evaluation = evaluate(problem, split, learned, seed, recipe.cuts)
    write_text(directory / "predictions.csv", _predictions(problem, split, evaluation))
    reference = reference_of(recipe.family, problem, split, learned, evaluation)
    write_text(directory / "reference.json", reference.to_json())
    stage("drawing the report")
    html = report(problem, split, config, learned, evaluation)
    write_text(directory / "report.html", html)
    write_text(directory / "metrics.json", _json(_metrics(problem, config, learned, evaluation)))
    checkpoint.unlink(missing_ok=True)


def _by_time(problem: Problem, split: Split) -> dict[str, Any]:
    """How the table was split, where that was by time."""
    spans = problem.spans(split)
    if not spans:
        return {}
    parts = {name: {"from": first, "to": last} for name, (first, last) in spans.items()}
    gap = {"gap_days": problem.schema.gap_days} if problem.schema.gap_days else {}
    return {"split": {"by": "time", "column": problem.schema.time, **gap, **parts}}


def _metrics(
    problem: Problem, config: Config, learned: Learned, evaluation: Evaluation
) -> dict[str, Any]:
    goal, value = config.recipe.goal, evaluation.main(evaluation.model.test)
    return {
        "task": problem.task.name,
        "model": config.recipe.hyper.network,
        "seed": config.seed,
        "goal": goal,
        "caveat": config.recipe.caveat,
        "goal_reached": None if goal is None else problem.task.reaches(value, goal),
        **evaluation.as_dict(),
        "best_epoch": learned.fitted.best + 1,
        "epochs": len(learned.fitted.history),
        "history": [asdict(epoch) for epoch in learned.fitted.history],
        "notes": [*problem.notes, *learned.notes],
    }


def _samples(learned: Learned, seed: int) -> bytes:
    """Up to 1024 training rows' features, as a NumPy file."""
    features = learned.train_features
    chosen = np.random.default_rng(seed).permutation(len(features))[:_SAMPLES]
    buffer = io.BytesIO()
    np.save(buffer, features[chosen], allow_pickle=False)
    return buffer.getvalue()


def _predictions(problem: Problem, split: Split, evaluation: Evaluation) -> str:
    """Each row of the table by its identifier, or else its number from 0."""
    identifier = problem.schema.identifier
    count = len(problem.frame)
    names = [str(row) for row in range(count)]
    if identifier is not None:
        given = problem.frame[identifier]
        names = [name if isinstance(name, str) else "" for name in given]
    parts = np.empty(count, dtype=object)
    for part, rows in split.parts().items():
        parts[rows] = part
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = problem.task.columns(problem.target, evaluation.predictions)
    writer.writerow(["identifier", "part", *columns])
    writer.writerows(zip(names, parts, *columns.values(), strict=True))
    return text.getvalue()


def _json(values: dict[str, Any]) -> str:
    return json.dumps(values, indent=1, allow_nan=False) + "\n"
