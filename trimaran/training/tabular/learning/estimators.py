"""Linear models, forests and boosted trees, fitted and made into modules that give logits.

A fitted estimator answers as its module does (`tests/.../test_estimators.py`), so it is exported,
verified and served by the same road as a network.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor, nn

from trimaran.training.tabular.learning.trees import (
    TreeEnsemble,
    lightgbm_trees,
    of_trees,
    sklearn_trees,
)
from trimaran.training.tabular.tasks.heads import Head

__all__ = ["LogProbabilities", "fit_estimator", "module_of", "restored"]

_LEAST = 1e-6


class LogProbabilities(nn.Module):
    """The logits of a forest's mean probabilities: `[batch, outputs]`."""

    def __init__(self, trees: TreeEnsemble) -> None:
        super().__init__()
        self.trees = trees

    def forward(self, features: Tensor) -> Tensor:
        """Of a single output the log odds, of several the logarithms; held within 1e-6 of 0."""
        share = torch.clamp(self.trees(features), _LEAST, 1 - _LEAST)
        return torch.log(share) - torch.log1p(-share) if share.shape[1] == 1 else torch.log(share)


def fit_estimator(
    head: Head,
    estimator: Any,
    features: npt.NDArray[np.float32],
    target: npt.NDArray[Any],
    imbalance: str,
    seed: int,
) -> nn.Module:
    """Fit to features `[rows, columns]`, and make the module.

    `imbalance` is that of `Hyperparameters`; `smote` is done before. The labels are the head's, so
    a number is fitted in the unit in which its head takes logits.
    """
    labels = head.labels(target)
    rows, weights = np.arange(len(labels)), None
    if imbalance in ("weights", "resample"):
        weights = np.array(head.row_weights(labels))
    if imbalance == "resample" and weights is not None:
        share = weights / weights.sum()
        rows, weights = np.random.default_rng(seed).choice(rows, len(rows), p=share), None
    with threadpool_limits(1):  # more threads are slower on tables of this size
        estimator.fit(features[rows], labels.numpy()[rows], sample_weight=weights)
    return module_of(estimator)


def module_of(estimator: Any) -> nn.Module:
    """A fitted estimator as a module: features `[batch, columns]` to logits `[batch, outputs]`."""
    if hasattr(estimator, "booster_"):
        return of_trees(lightgbm_trees(estimator.booster_.dump_model()))
    if not hasattr(estimator, "estimators_"):
        return _linear(np.atleast_2d(estimator.coef_), np.atleast_1d(estimator.intercept_))
    trees = sklearn_trees(estimator.estimators_)
    if not hasattr(estimator, "classes_"):
        return of_trees(trees)
    if len(estimator.classes_) == 2:
        trees = [tree.of_output(1) for tree in trees]
    return LogProbabilities(of_trees(trees))


def restored(state: Mapping[str, Tensor]) -> nn.Module:
    """The module whose `state_dict` this is. Raises `KeyError` for another one."""
    if "weight" in state:
        return _linear(state["weight"].numpy(), state["bias"].numpy())
    name = "trees."
    if f"{name}feature" not in state:
        return TreeEnsemble(state)
    own = {key.removeprefix(name): value for key, value in state.items()}
    return LogProbabilities(TreeEnsemble(own))


def _linear(weight: npt.NDArray[Any], bias: npt.NDArray[Any]) -> nn.Linear:
    outputs, columns = weight.shape
    layer = nn.Linear(columns, outputs)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(weight))
        layer.bias.copy_(torch.tensor(bias))
    return layer
