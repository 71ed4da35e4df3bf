"""Runs of recommenders. They learn what users chose, so new choices are learnt, not predicted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from torch import nn

from trimaran.rollout.runs.families.family import Family
from trimaran.rollout.runs.figures import Figures, figures_of_metrics
from trimaran.rollout.runs.readiness import Predict
from trimaran.served.histories import padded_histories
from trimaran.training.recommender.evaluation import METRIC_NAMES
from trimaran.training.recommender.trained import RecommenderRun, recommender_run

__all__ = ["CHOICES"]


@dataclass(frozen=True)
class TrialOfChoices:
    """What is served of a run, to be tried: the histories of its users, and its network."""

    run: RecommenderRun

    def module(self) -> nn.Module:
        """Histories to the best items and their scores."""
        return self.run.network()

    def batch(self, rows: int) -> npt.NDArray[np.int64]:
        """Histories of training users, int64 `[rows, length]`, as long as these are."""
        found = self.run.samples()
        kept = np.resize(found, (rows, *found.shape[1:]))
        return padded_histories([row[row != 0] for row in kept])

    def missing(self, predict: Predict) -> str:
        """A user who has chosen nothing yet."""
        found = predict(padded_histories([np.array([], np.int64)]))
        sound = all(np.isfinite(each).all() for each in found)
        return f"A user without choices is answered{'' if sound else ' without scores'}."


def _figures(directory: Path) -> Figures:
    run = RecommenderRun(directory)
    interval = run.entry("metrics.json", "intervals")["ndcg"]
    return figures_of_metrics(run, "ndcg", METRIC_NAMES, interval)


CHOICES = Family(
    "recommenders",
    lambda directory: recommender_run(directory) is not None,
    _figures,
    lambda directory: TrialOfChoices(RecommenderRun(directory)),
    None,
    "what its users chose is part of a recommender, so new choices take another training",
)
