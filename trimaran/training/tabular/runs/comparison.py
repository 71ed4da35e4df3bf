"""The scores of several trainings, by seeds or folds: means and standard deviations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from trimaran.training.tabular.evaluation.metrics import METRICS
from trimaran.training.tabular.runs.trained import TrainedRun

__all__ = ["Scored", "Spread", "as_document", "by_model", "of_run", "spread", "spreads"]

Scored = Mapping[str, Mapping[str, Any]]
"""Scores by metric, of the model and of each baseline, by name."""


@dataclass(frozen=True)
class Spread:
    """The mean and the sample standard deviation, which divides by one less than the count."""

    mean: float
    sd: float


def spread(values: Sequence[float]) -> Spread:
    """The spread of two or more values."""
    return Spread(float(np.mean(values)), float(np.std(values, ddof=1)))


def spreads(scores: Sequence[Mapping[str, Any]]) -> dict[str, Spread]:
    """The spread of each metric, over the scores of two or more trainings."""
    return {name: spread([float(each[name]) for each in scores]) for name in METRICS}


def of_run(run: TrainedRun) -> Scored:
    """The test scores of a finished run."""
    metrics = run.metrics()
    others = {name: each["test"] for name, each in metrics["baselines"].items()}
    return {metrics["model"]: metrics["test"], **others}


def by_model(scored: Sequence[Scored]) -> dict[str, dict[str, Spread]]:
    """The spread of each metric of each model, over two or more trainings."""
    return {name: spreads([each[name] for each in scored]) for name in scored[0]}


def as_document(about: Mapping[str, Any], scored: Sequence[Scored]) -> dict[str, Any]:
    """A JSON document of `about`, the spreads, and every training's scores."""
    return {
        **about,
        "spread": {
            model: {name: asdict(found) for name, found in metrics.items()}
            for model, metrics in by_model(scored).items()
        },
        "scores": [dict(each) for each in scored],
    }
