"""The evaluation of a trained model: on the test part, once, and next to two simpler models."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from trimaran.training.tabular.data.split import Split
from trimaran.training.tabular.evaluation.importance import Importance, permutation_importance
from trimaran.training.tabular.evaluation.metrics import (
    Flags,
    Probabilities,
    Scores,
    always_yes_f1,
    choose_threshold,
    decide,
    f1_interval,
    score,
)
from trimaran.training.tabular.evaluation.segments import Cuts, Segment, segments
from trimaran.training.tabular.learning.learn import Learned, Problem

__all__ = ["BASELINES", "Evaluation", "ModelScores", "evaluate", "evaluate_model", "fit_baseline"]

_MOST_ITERATIONS = 5000

BASELINES: dict[str, Callable[[int], Any]] = {
    "logistic regression": lambda seed: LogisticRegression(max_iter=_MOST_ITERATIONS),
    "gradient boosting": lambda seed: HistGradientBoostingClassifier(random_state=seed),
}
"""scikit-learn estimators by name, for a seed, with scikit-learn's defaults."""


def fit_baseline(
    name: str, features: npt.NDArray[np.float32], target: Flags, seed: int
) -> Callable[[npt.NDArray[np.float32]], Probabilities]:
    """Fit on the training part's features `[rows, columns]`.

    The returned function gives the probabilities, float32 `[rows]`, of other rows.
    """
    with threadpool_limits(1):  # more threads are slower on tables of this size
        estimator = BASELINES[name](seed).fit(features, target)

    def probability(others: npt.NDArray[np.float32]) -> Probabilities:
        with threadpool_limits(1):
            found: npt.NDArray[np.float64] = estimator.predict_proba(others)[:, 1]
        return found.astype(np.float32)

    return probability


@dataclass(frozen=True)
class ModelScores:
    """One model's scores on the two parts that its weights were not fitted to."""

    validation: Scores
    test: Scores


@dataclass(frozen=True)
class Evaluation:
    """The results of a training: scores, baselines, importance and segments."""

    model: ModelScores
    f1_interval: tuple[float, float]
    """The bootstrap 95 % interval of the test part's F1."""
    always_yes_f1: float
    """The test F1 of deciding positive for every row."""
    baselines: Mapping[str, ModelScores]
    importance: list[Importance]
    """On the validation part."""
    segments: list[Segment]
    """Of the test part."""
    probability: Probabilities
    """Of every row of the table, float32 `[rows]`."""

    def as_dict(self) -> dict[str, Any]:
        """As JSON, without the rows' probabilities."""
        return {
            "threshold": self.model.test.threshold,
            "validation": self.model.validation.as_dict(),
            "test": {
                **self.model.test.as_dict(),
                "f1_interval": list(self.f1_interval),
                "always_yes_f1": self.always_yes_f1,
            },
            "baselines": {
                name: {"validation": one.validation.as_dict(), "test": one.test.as_dict()}
                for name, one in self.baselines.items()
            },
            "importance": [asdict(one) for one in self.importance],
            "segments": [asdict(one) for one in self.segments],
        }


def evaluate(problem: Problem, split: Split, learned: Learned, seed: int, cuts: Cuts) -> Evaluation:
    """Score the model and the baselines on validation and, once, on test."""
    frame, validation = problem.frame, split.validation
    importance = permutation_importance(
        lambda rows: learned.probability(learned.features(rows)),
        problem.rows(validation),
        [field.name for field in problem.schema.fields],
        problem.target[validation],
        learned.threshold,
        seed,
    )
    model, baselines, probability = evaluate_model(problem, split, learned, seed)
    test = split.test
    decided = decide(probability[test], learned.threshold)
    return Evaluation(
        model=model,
        f1_interval=f1_interval(model.test.confusion, seed),
        always_yes_f1=always_yes_f1(problem.target[test]),
        baselines=baselines,
        importance=importance,
        segments=segments(frame.iloc[test], problem.schema, problem.target[test], decided, cuts),
        probability=probability,
    )


def evaluate_model(
    problem: Problem, split: Split, learned: Learned, seed: int
) -> tuple[ModelScores, dict[str, ModelScores], Probabilities]:
    """The scores of the model and of each baseline, and the model's probability of every row.

    A baseline is fitted to the same features of the same rows, and its threshold is chosen by the
    same rule on the same part. Rows in no part have the probability NaN.
    """
    target = problem.target
    features = {
        name: learned.features(problem.rows(rows))
        for name, rows in split.parts().items()
        if name != "train"
    }
    features["train"] = learned.train_features
    probability = np.full(len(target), np.nan, dtype=np.float32)
    for name, rows in split.parts().items():
        probability[rows] = learned.probability(features[name])
    baselines = {}
    for name in BASELINES:
        predicted = fit_baseline(name, features["train"], target[split.train], seed)
        guessed = {part: predicted(features[part]) for part in ("validation", "test")}
        threshold = choose_threshold(target[split.validation], guessed["validation"])
        baselines[name] = _scores(target, split, guessed, threshold)
    own = {"validation": probability[split.validation], "test": probability[split.test]}
    return _scores(target, split, own, learned.threshold), baselines, probability


def _scores(
    target: Flags, split: Split, probability: Mapping[str, Probabilities], threshold: float
) -> ModelScores:
    return ModelScores(
        score(target[split.validation], probability["validation"], threshold),
        score(target[split.test], probability["test"], threshold),
    )
