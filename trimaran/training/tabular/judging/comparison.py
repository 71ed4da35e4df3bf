"""What the scores of several trainings, by seeds or by folds, come to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from trimaran.training.tabular.judging.spread import Spread, spreads
from trimaran.training.tabular.learning.trained import TrainedRun

__all__ = ["Scored", "as_document", "by_model", "of_run"]

Scored = Mapping[str, Mapping[str, Any]]
"""The scores on the judged rows, by metric, of the model and of each baseline, by name."""


def of_run(run: TrainedRun) -> Scored:
    """The test scores of a finished run."""
    metrics = run.metrics()
    others = {name: each["test"] for name, each in metrics["baselines"].items()}
    return {metrics["model"]: metrics["test"], **others}


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
