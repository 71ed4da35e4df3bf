"""A network that was trained on a table, as `trimaran export runs/NAME/latest` takes it."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from exporters.spec import ModelSpec
from trimaran.training.tabular.runs.trained import TrainedRun

__all__ = ["model_of"]

_MOST_ROWS = 1024
"""Rows are small, and a CSV file is scored in large batches."""


def model_of(run: TrainedRun) -> ModelSpec:
    """The network with its threshold, from the run's directory.

    `features`, float32 `[batch, columns]`, are what the transform gives. `probability` is float32
    `[batch, 1]`, `prediction` bool `[batch, 1]`. Exports are verified on rows of the training part.
    """
    features = run.samples()

    def samples(batch_size: int, seed: int) -> dict[str, Tensor]:
        rows = np.random.default_rng(seed).integers(len(features), size=batch_size)
        return {"features": torch.from_numpy(features[rows])}

    return ModelSpec(
        name=run.name,
        module=run.classifier(),
        example_inputs=samples(2, 0),
        output_names=["probability", "prediction"],
        samples=samples,
        max_batch_size=_MOST_ROWS,
    )
