"""Training: a table and a split become a fitted transform, a network and what is chosen.

Nothing in this file reads a row of the test part.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from trimaran.served.transform import Transform, TransformData
from trimaran.training.tabular.data.schema import Schema
from trimaran.training.tabular.data.sources import Dataset
from trimaran.training.tabular.data.split import (
    Indices,
    Split,
    stratified_folds,
    stratified_split,
)
from trimaran.training.tabular.data.time_split import spans, time_folds, time_split
from trimaran.training.tabular.data.validation import require_valid
from trimaran.training.tabular.features.fit import fit_features, transform_frame
from trimaran.training.tabular.features.plan import FeaturePlan
from trimaran.training.tabular.features.smote import with_smote
from trimaran.training.tabular.learning.estimators import fit_estimator
from trimaran.training.tabular.learning.fitting import Epoch, Fitted, Rows, fit, predict
from trimaran.training.tabular.learning.hyperparameters import ESTIMATORS, Hyperparameters
from trimaran.training.tabular.learning.networks import Edges, tree_edges
from trimaran.training.tabular.tasks.heads import Head
from trimaran.training.tabular.tasks.task import Chosen, Predictions, Strata, Target, Task

__all__ = ["Learned", "Problem", "Watch", "learn"]

Watch = Callable[[int, Epoch, Predictions], None]
"""Called after each epoch with its number from 0, and the validation rows' predictions."""


@dataclass(frozen=True)
class Problem:
    """A valid table, and its encoded target."""

    frame: pd.DataFrame
    schema: Schema
    target: Target
    source: str = "the table"
    notes: tuple[str, ...] = ()
    """Changes to the table, and warnings about it; a sentence each."""

    @classmethod
    def of(cls, dataset: Dataset) -> Problem:
        """Check a table. Raises `TrimaranError` if it cannot be trained on."""
        frame, schema = dataset.frame, dataset.schema
        warnings = require_valid(frame, schema, dataset.source)
        notes = (*dataset.notes, *map(str, warnings))
        schema = replace(schema, task=schema.task.resolved(frame[schema.target]))
        return cls(frame, schema, schema.outcomes(frame), dataset.source, notes)

    @property
    def task(self) -> Task:
        """How the target is predicted."""
        return self.schema.task

    @property
    def strata(self) -> Strata:
        """The groups by which the table is split."""
        return self.task.strata(self.target)

    def split(self, seed: int) -> Split:
        """The parts of the table: by its time, or else by strata and `seed`.

        Raises `TrimaranError` for a table that cannot be split.
        """
        days = self._days
        if days is None:
            return stratified_split(self.strata, seed)
        return time_split(days, self.strata, self.schema.gap_days)

    def folds(self, rows: Indices, folds: int, seed: int) -> Sequence[Split]:
        """Splits of some rows to cross-validate with, made as `split` is."""
        days = self._days
        if days is None:
            return stratified_folds(self.strata, rows, folds, seed)
        return time_folds(days, self.strata, rows, folds, self.schema.gap_days)

    def spans(self, split: Split) -> Mapping[str, tuple[str, str]]:
        """The first and the last date of each part; none where the table is not split by time."""
        return {} if self._days is None else spans(split, self._days)

    @property
    def _days(self) -> npt.NDArray[np.float64] | None:
        time = self.schema.time
        return None if time is None else self.frame[time].to_numpy(np.float64)

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
    head: Head
    model: str
    """As in `Hyperparameters.network`."""
    fitted: Fitted
    chosen: Chosen
    """What was chosen on the validation part, and what else is needed to serve."""
    train_features: npt.NDArray[np.float32]
    """`[training rows, columns]`."""

    def features(self, frame: pd.DataFrame) -> npt.NDArray[np.float32]:
        """Any rows' features, float32 `[rows, columns]`."""
        return transform_frame(Transform(self.data), self.schema, frame)

    def predictions(self, features: npt.NDArray[np.float32]) -> Predictions:
        """What the network says of each row."""
        return predict(self.head, self.fitted.network, torch.from_numpy(features))


def learn(
    problem: Problem,
    split: Split,
    plan: FeaturePlan,
    hyper: Hyperparameters,
    seed: int,
    checkpoint: Path | None = None,
    watch: Watch | None = None,
) -> Learned:
    """Fit transform, edges and weights to training; stop and choose by validation.

    Raises `TrimaranError` for a plan that does not fit the table, or a loss that is not finite.
    """
    target, task = problem.target, problem.task
    effect = task.effect(target[split.train])
    found = fit_features(plan, problem.schema, problem.rows(split.train), effect, seed)
    transform = Transform(found.data)
    train = transform_frame(transform, problem.schema, problem.rows(split.train))
    validation = transform_frame(transform, problem.schema, problem.rows(split.validation))
    head = task.head(target[split.train])
    features, outcomes = train, target[split.train]
    if hyper.imbalance == "smote":
        head.balance(head.labels(outcomes))  # a target without outcomes refuses to be balanced
        features, outcomes = with_smote(
            transform, problem.schema, problem.rows(split.train), train, outcomes, seed
        )
    edges: Edges
    if hyper.network in ESTIMATORS:
        edges = [np.zeros(0)] * train.shape[1]
        estimator = task.estimator(ESTIMATORS.index(hyper.network))(seed)
        fitted = Fitted(
            fit_estimator(head, estimator, features, outcomes, hyper.imbalance, seed).eval()
        )
    else:
        tree = task.tree(hyper.leaf_nodes, hyper.min_leaf, seed)
        edges = tree_edges(train, target[split.train], tree)
        fitted = fit(
            head,
            hyper,
            edges,
            Rows.of(head, features, outcomes),
            Rows.of(head, validation, target[split.validation]),
            seed,
            checkpoint,
            watch,
        )
    predictions = predict(head, fitted.network, torch.from_numpy(validation))
    chosen = {**head.fitted, **task.choose(target[split.validation], predictions)}
    return Learned(
        schema=problem.schema,
        data=found.data,
        notes=found.notes,
        edges=edges,
        head=head,
        model=hyper.network,
        fitted=fitted,
        chosen=chosen,
        train_features=train,
    )
