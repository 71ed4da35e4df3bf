from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from trimaran.training.tabular.learning.estimators import fit_estimator, restored
from trimaran.training.tabular.learning.fitting import predict
from trimaran.training.tabular.learning.hyperparameters import ESTIMATORS
from trimaran.training.tabular.tasks.binary import Binary
from trimaran.training.tabular.tasks.multiclass import Multiclass
from trimaran.training.tabular.tasks.regression import Regression
from trimaran.training.tabular.tasks.task import Task

GENERATOR = np.random.default_rng(0)
FEATURES = GENERATOR.normal(size=(300, 4)).astype(np.float32)
NUMBERS = FEATURES[:, 0] * 30 + np.sin(FEATURES[:, 1] * 3) + 1000
COLUMNS: dict[str, tuple[Task, Any]] = {
    "binary": (Binary("yes"), np.where(NUMBERS > 1010, "yes", "no")),
    "multiclass": (Multiclass(), np.array(["a", "b", "c"])[np.digitize(NUMBERS, [990, 1010])]),
    "regression": (Regression(), NUMBERS),
}


@pytest.mark.parametrize("kind", range(len(ESTIMATORS)), ids=ESTIMATORS)
@pytest.mark.parametrize("name", COLUMNS)
def test_the_module_answers_as_the_estimator_does(name: str, kind: int) -> None:
    task, values = COLUMNS[name]
    column = pd.Series(values)
    task = task.resolved(column)
    target = task.encode(column)
    head, estimator = task.head(target), task.estimator(kind)(0)
    module = fit_estimator(head, estimator, FEATURES, target, "none", 0).eval()
    found = predict(head, module, torch.from_numpy(FEATURES))
    expected = task.guess(estimator, FEATURES)
    if name == "regression":  # the estimator was fitted to standardised numbers
        expected = expected * head.fitted["sd"] + head.fitted["mean"]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=2e-6)
    again = restored(module.state_dict()).eval()
    np.testing.assert_array_equal(predict(head, again, torch.from_numpy(FEATURES)), found)


@pytest.mark.parametrize("imbalance", ["weights", "resample"])
def test_a_balanced_fit_finds_more_of_the_rarer_outcome(imbalance: str) -> None:
    task = Binary("yes")
    noisy = NUMBERS + GENERATOR.normal(0, 60, len(NUMBERS))
    target = task.encode(pd.Series(np.where(noisy > 1080, "yes", "no")))
    head = task.head(target)

    def share(chosen: str) -> float:
        module = fit_estimator(head, task.estimator(0)(0), FEATURES, target, chosen, 0).eval()
        return float((predict(head, module, torch.from_numpy(FEATURES)) >= 0.5).mean())

    assert share("none") < 0.1 < share(imbalance)
