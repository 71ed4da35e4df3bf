"""The trained churn network, as `trimaran export exporters.churn:model` takes it."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from exporters.spec import ModelSpec
from trimaran.training.churn import NAME, trained

__all__ = ["model"]


def model() -> ModelSpec:
    """The network with its threshold, from the run's directory (`trimaran.training.churn`).

    `features`, float32 `[batch, columns]`, are what the transform gives. `probability` is float32
    `[batch, 1]`, `prediction` bool `[batch, 1]`. Exports are verified on rows of the training part.
    """
    run = trained()
    features = run.samples()

    def samples(batch_size: int, seed: int) -> dict[str, Tensor]:
        rows = np.random.default_rng(seed).integers(len(features), size=batch_size)
        return {"features": torch.from_numpy(features[rows])}

    return ModelSpec(
        name=NAME,
        module=run.module(),
        example_inputs=samples(2, 0),
        output_names=list(run.answers().network),
        samples=samples,
    )
