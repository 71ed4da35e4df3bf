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
    """The network with what its task answers, from the run's directory.

    `features`, float32 `[batch, columns]`, are what the transform gives, and the outputs those of
    `trimaran/training/tabular/tasks/heads.py`. Exports are verified on rows of the training part.
    """
    features = run.samples()

    def samples(batch_size: int, seed: int) -> dict[str, Tensor]:
        rows = np.random.default_rng(seed).integers(len(features), size=batch_size)
        return {"features": torch.from_numpy(features[rows])}

    return ModelSpec(
        name=run.name,
        module=run.module(),
        example_inputs=samples(2, 0),
        output_names=list(run.answers().network),
        samples=samples,
        max_batch_size=_MOST_ROWS,
    )
