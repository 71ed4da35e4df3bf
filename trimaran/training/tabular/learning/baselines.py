"""What a network has to beat: two models that need no training engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from trimaran.training.tabular.learning.threshold import Flags, Probabilities

__all__ = ["BASELINES", "fit_baseline"]

_MOST_ITERATIONS = 5000

BASELINES: dict[str, Callable[[int], Any]] = {
    "logistic regression": lambda seed: LogisticRegression(max_iter=_MOST_ITERATIONS),
    "gradient boosting": lambda seed: HistGradientBoostingClassifier(random_state=seed),
}
"""A scikit-learn estimator by name, for a seed; everything else as scikit-learn sets it."""


def fit_baseline(
    name: str, features: npt.NDArray[np.float32], target: Flags, seed: int
) -> Callable[[npt.NDArray[np.float32]], Probabilities]:
    """Fit on the training part's features `[rows, columns]`.

    What is returned gives the probability, float32 `[rows]`, of other rows.
    """
    with threadpool_limits(1):  # many threads take longer on tables of this size
        estimator = BASELINES[name](seed).fit(features, target)

    def probability(others: npt.NDArray[np.float32]) -> Probabilities:
        with threadpool_limits(1):
            found: npt.NDArray[np.float64] = estimator.predict_proba(others)[:, 1]
        return found.astype(np.float32)

    return probability
