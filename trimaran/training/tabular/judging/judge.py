"""The one look at the test part, at the end, and what a model is compared with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from trimaran.training.tabular.data.split import Split
from trimaran.training.tabular.judging.importance import Importance, permutation_importance
from trimaran.training.tabular.judging.metrics import Scores, always_yes_f1, f1_interval, score
from trimaran.training.tabular.judging.segments import Cuts, Segment, segments
from trimaran.training.tabular.learning.baselines import BASELINES, fit_baseline
from trimaran.training.tabular.learning.learn import Learned, Problem
from trimaran.training.tabular.learning.threshold import (
    Flags,
    Probabilities,
    choose_threshold,
    decide,
)

__all__ = ["Judged", "Judgement", "judge", "judge_model"]


@dataclass(frozen=True)
class Judged:
    """One model on the two parts that it did not learn its weights from."""

    validation: Scores
    test: Scores


@dataclass(frozen=True)
class Judgement:
    """Everything that a finished training says about its model."""

    model: Judged
    f1_interval: tuple[float, float]
    """The bootstrap 95 % interval of the test part's F1."""
    always_yes_f1: float
    """The test F1 of deciding positive for every row."""
    baselines: Mapping[str, Judged]
    importance: list[Importance]
    """On the validation part."""
    segments: list[Segment]
    """Of the test part."""
    probability: Probabilities
    """Of every row of the table, float32 `[rows]`."""

    def as_dict(self) -> dict[str, Any]:
        """As JSON takes it, without the rows' probabilities."""
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


def judge(problem: Problem, split: Split, learned: Learned, seed: int, cuts: Cuts) -> Judgement:
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
    model, baselines, probability = judge_model(problem, split, learned, seed)
    test = split.test
    decided = decide(probability[test], learned.threshold)
    return Judgement(
        model=model,
        f1_interval=f1_interval(model.test.confusion, seed),
        always_yes_f1=always_yes_f1(problem.target[test]),
        baselines=baselines,
        importance=importance,
        segments=segments(frame.iloc[test], problem.schema, problem.target[test], decided, cuts),
        probability=probability,
    )


def judge_model(
    problem: Problem, split: Split, learned: Learned, seed: int
) -> tuple[Judged, dict[str, Judged], Probabilities]:
    """The scores of the model and of each baseline, and the model's probability of every row.

    A baseline learns from the same features of the same rows, and its threshold is chosen by the
    same rule on the same part. Rows that are in no part have the probability NaN.
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
        baselines[name] = _judged(target, split, guessed, threshold)
    own = {"validation": probability[split.validation], "test": probability[split.test]}
    return _judged(target, split, own, learned.threshold), baselines, probability


def _judged(
    target: Flags, split: Split, probability: Mapping[str, Probabilities], threshold: float
) -> Judged:
    return Judged(
        score(target[split.validation], probability["validation"], threshold),
        score(target[split.test], probability["test"], threshold),
    )
