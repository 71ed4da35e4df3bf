"""A network that was trained on texts, as `trimaran export runs/NAME/latest` takes it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from exporters.spec import ModelSpec
from trimaran.training.text.trained import TextRun

__all__ = ["model_of"]

_LENGTH = "length"


def model_of(run: TextRun) -> ModelSpec:
    """The network, from the run's directory.

    `tokens` is int64 `[batch, length]`, padded with 0, and `probability` float32 `[batch, 1]`.
    Exports are verified on texts of the training part, cut to every length that is tried.
    """
    found = run.samples()
    most = run.encoding().lengths[-1]

    def samples(
        batch_size: int, seed: int, lengths: Mapping[str, int] | None = None
    ) -> dict[str, Tensor]:
        length = (lengths or {}).get(_LENGTH, most // 2)
        rows = np.random.default_rng(seed).integers(len(found), size=batch_size)
        return {"tokens": torch.from_numpy(found[rows, :length])}

    return ModelSpec(
        name=run.name,
        module=run.network(),
        example_inputs=samples(2, 0),
        output_names=["probability"],
        dynamic_axes={"tokens": {1: (_LENGTH, 1, most)}},
        samples=samples,
    )
