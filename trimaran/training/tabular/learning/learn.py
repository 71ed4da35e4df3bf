"""Training: a table and a split become a fitted transform, a network and a threshold.

Nothing in this file reads a row of the test part.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from trimaran.served.transform import Transform, TransformData
from trimaran.training.tabular.data.schema import Schema
from trimaran.training.tabular.data.sources import Dataset
from trimaran.training.tabular.data.split import Indices, Split
from trimaran.training.tabular.data.validation import is_positive, require_valid
from trimaran.training.tabular.evaluation.metrics import Flags, Probabilities, choose_threshold
from trimaran.training.tabular.features.fit import fit_features, transform_frame
from trimaran.training.tabular.features.plan import FeaturePlan
from trimaran.training.tabular.learning.fitting import Epoch, Fitted, Rows, fit, predict
from trimaran.training.tabular.learning.hyperparameters import Hyperparameters
from trimaran.training.tabular.learning.networks import Edges, tree_edges

__all__ = ["Learned", "Problem", "Watch", "learn"]

Watch = Callable[[int, Epoch, Probabilities], None]
"""Called after each epoch with its number from 0, and the validation rows' probabilities."""


@dataclass(frozen=True)
class Problem:
    """A valid table, and whether each of its rows is positive."""

    frame: pd.DataFrame
    schema: Schema
    target: Flags
    source: str = "the table"
    notes: tuple[str, ...] = ()
    """Changes to the table, and warnings about it; a sentence each."""

    @classmethod
    def of(cls, dataset: Dataset) -> Problem:
        """Check a table. Raises `TrimaranError` if it cannot be trained on."""
        frame, schema = dataset.frame, dataset.schema
        warnings = require_valid(frame, schema, dataset.source)
        notes = (*dataset.notes, *map(str, warnings))
        return cls(frame, schema, is_positive(frame, schema), dataset.source, notes)

    def rows(self, indices: Indices) -> pd.DataFrame:
        """Some of the table's rows."""
        return self.frame.iloc[indices]


@dataclass(frozen=True)
class Learned:
    """The result of training: everything fitted to the training and validation parts."""

    schema: Schema
    data: TransformData
    notes: tuple[str, ...]
    edges: Edges
    fitted: Fitted
    threshold: float
    train_features: npt.NDArray[np.float32]
    """`[training rows, columns]`."""

    def features(self, frame: pd.DataFrame) -> npt.NDArray[np.float32]:
        """Any rows' features, float32 `[rows, columns]`."""
        return transform_frame(Transform(self.data), self.schema, frame)

    def probability(self, features: npt.NDArray[np.float32]) -> Probabilities:
        """The probability of each row, float32 `[rows]`."""
        return predict(self.fitted.network, torch.from_numpy(features))


def learn(
    problem: Problem,
    split: Split,
    plan: FeaturePlan,
    hyper: Hyperparameters,
    seed: int,
    checkpoint: Path | None = None,
    watch: Watch | None = None,
) -> Learned:
    """Fit transform, edges and weights to training; stop and choose the threshold by validation.

    Raises `TrimaranError` for a plan that does not fit the table, or a loss that is not finite.
    """
    target = problem.target
    found = fit_features(plan, problem.schema, problem.rows(split.train), target[split.train], seed)
    transform = Transform(found.data)
    train = transform_frame(transform, problem.schema, problem.rows(split.train))
    validation = transform_frame(transform, problem.schema, problem.rows(split.validation))
    edges = tree_edges(train, target[split.train], hyper.leaf_nodes, hyper.min_leaf, seed)
    fitted = fit(
        hyper,
        edges,
        Rows.of(train, target[split.train]),
        Rows.of(validation, target[split.validation]),
        seed,
        checkpoint,
        watch,
    )
    probability = predict(fitted.network, torch.from_numpy(validation))
    threshold = choose_threshold(target[split.validation], probability)
    return Learned(problem.schema, found.data, found.notes, edges, fitted, threshold, train)
