"""Runs of recommenders. They learn what users chose, so new choices are learnt, not predicted."""

from __future__ import annotations

from pathlib import Path

from trimaran.rollout.runs.families.family import Family
from trimaran.rollout.runs.figures import Figures, figures_of_metrics
from trimaran.training.recommender.evaluation import METRIC_NAMES
from trimaran.training.recommender.trained import RecommenderRun, recommender_run

__all__ = ["CHOICES"]


def _figures(directory: Path) -> Figures:
    run = RecommenderRun(directory)
    interval = run.entry("metrics.json", "intervals")["ndcg"]
    return figures_of_metrics(run, "ndcg", METRIC_NAMES, interval)


CHOICES = Family(
    "recommenders",
    lambda directory: recommender_run(directory) is not None,
    _figures,
    None,
    "what its users chose is part of a recommender, so new choices take another training",
)
