"""The evaluation of a trained model: on the test part, once, and next to two simpler models."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from trimaran.stats.intervals import Estimate
from trimaran.training.tabular.data.groups import Cuts, groups
from trimaran.training.tabular.data.split import Split
from trimaran.training.tabular.evaluation.importance import Importance, permutation_importance
from trimaran.training.tabular.learning.hyperparameters import ESTIMATORS
from trimaran.training.tabular.learning.learn import Learned, Problem
from trimaran.training.tabular.tasks.task import Chosen, Predictions, Segment, Target, Task

__all__ = ["Evaluation", "ModelScores", "evaluate", "evaluate_model", "fit_baseline"]


def fit_baseline(
    task: Task, name: str, features: npt.NDArray[np.float32], target: Target, seed: int
) -> Callable[[npt.NDArray[np.float32]], Predictions]:
    """Fit one of the task's baselines to the training part's features `[rows, columns]`.

    The returned function gives the predictions of other rows.
    """
    with threadpool_limits(1):  # more threads are slower on tables of this size
        estimator = task.baselines[name](seed).fit(features, target)

    def predictions(others: npt.NDArray[np.float32]) -> Predictions:
        with threadpool_limits(1):
            return task.guess(estimator, others)

    return predictions


@dataclass(frozen=True)
class ModelScores:
    """One model's scores on the two parts that its weights were not fitted to."""

    validation: Any
    """`tasks.task.Scores`, as is the other."""
    test: Any


@dataclass(frozen=True)
class Evaluation:
    """The results of a training: scores, baselines, importance and segments."""

    task: Task
    chosen: Chosen
    model: ModelScores
    interval: tuple[float, float]
    """The bootstrap 95 % interval of the test part's main metric."""
    plain: Mapping[str, float]
    """The test scores of the same answer for every row."""
    compared: Mapping[str, Estimate]
    """The test part's main metric by other decisions: see `Task.compared`."""
    baselines: Mapping[str, ModelScores]
    importance: list[Importance]
    """On the validation part."""
    segments: list[Segment]
    """Of the test part."""
    predictions: Predictions
    """Of every row of the table."""

    def main(self, scores: Any) -> float:
        """The metric by which models are compared."""
        return float(getattr(scores, self.task.main))

    def as_dict(self) -> dict[str, Any]:
        """As JSON, without the rows' predictions."""
        compared = {name: asdict(one) for name, one in self.compared.items()}
        return {
            **self.chosen,
            "validation": self.model.validation.as_dict(),
            "test": {
                **self.model.test.as_dict(),
                f"{self.task.main}_interval": list(self.interval),
                **self.plain,
                **({"compared": compared} if compared else {}),
            },
            "baselines": {
                name: {"validation": one.validation.as_dict(), "test": one.test.as_dict()}
                for name, one in self.baselines.items()
            },
            "importance": [asdict(one) for one in self.importance],
            "segments": [one.as_dict() for one in self.segments],
        }


def evaluate(problem: Problem, split: Split, learned: Learned, seed: int, cuts: Cuts) -> Evaluation:
    """Score the model and the baselines on validation and, once, on test."""
    frame, validation, test = problem.frame, split.validation, split.test
    task, target, chosen = problem.task, problem.target, learned.chosen
    importance = permutation_importance(
        lambda rows: task.measure(
            target[validation], learned.predictions(learned.features(rows)), chosen
        ),
        problem.rows(validation),
        [field.name for field in problem.schema.fields],
        seed,
    )
    model, baselines, predictions = evaluate_model(problem, split, learned, seed)
    tested = predictions[test]
    return Evaluation(
        task=task,
        chosen=chosen,
        model=model,
        interval=task.interval(target[test], tested, chosen, seed),
        plain=task.plain(target[split.train], target[test]),
        compared=task.compared(target[test], tested, chosen, seed),
        baselines=baselines,
        importance=importance,
        segments=[
            task.segment(field, group, target[test][inside], tested[inside], chosen)
            for field, group, inside in groups(frame.iloc[test], problem.schema, cuts)
        ],
        predictions=predictions,
    )


def evaluate_model(
    problem: Problem, split: Split, learned: Learned, seed: int
) -> tuple[ModelScores, dict[str, ModelScores], Predictions]:
    """The scores of the model and of each baseline, and the model's predictions of every row.

    A baseline is fitted to the same features of the same rows, and chooses by the same rule on the
    same part. Predictions of rows in no part are NaN.
    """
    task, target = problem.task, problem.target
    features = {
        name: learned.features(problem.rows(rows))
        for name, rows in split.parts().items()
        if name != "train"
    }
    features["train"] = learned.train_features
    own = {name: learned.predictions(features[name]) for name in split.parts()}
    every = np.full((len(target), *own["train"].shape[1:]), np.nan, dtype=np.float32)
    for name, rows in split.parts().items():
        every[rows] = own[name]
    baselines = {}
    same = ESTIMATORS.index(learned.model) if learned.model in ESTIMATORS else None
    for place, name in enumerate(task.baselines):
        if place == same:
            continue
        predicted = fit_baseline(task, name, features["train"], target[split.train], seed)
        guessed = {part: predicted(features[part]) for part in ("validation", "test")}
        chosen = task.choose(target[split.validation], guessed["validation"])
        baselines[name] = _scores(problem, split, guessed, chosen)
    return _scores(problem, split, own, learned.chosen), baselines, every


def _scores(
    problem: Problem, split: Split, predictions: Mapping[str, Predictions], chosen: Chosen
) -> ModelScores:
    target, task = problem.target, problem.task
    return ModelScores(
        task.score(target[split.validation], predictions["validation"], chosen),
        task.score(target[split.test], predictions["test"], chosen),
    )
