"""A trained recommender, as `trimaran export runs/NAME/latest` takes it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from exporters.spec import ModelSpec
from trimaran.training.recommender.trained import RecommenderRun

__all__ = ["model_of"]

_LENGTH = "length"
_MOST_ROWS = 128
"""A row is a few numbers, and users of a CSV file are answered in large batches."""


def model_of(run: RecommenderRun) -> ModelSpec:
    """The network, from the run's directory.

    `history` is int64 `[batch, length]`: items from 1, negative where not liked, padded with 0.
    `items` are the best that are not in it, int64 `[batch, top]`, and `scores` float32. Exports are
    verified on histories of the training, cut to every length that is tried.
    """
    found = run.samples()
    most = run.histories().longest

    def samples(
        batch_size: int, seed: int, lengths: Mapping[str, int] | None = None
    ) -> dict[str, Tensor]:
        length = (lengths or {}).get(_LENGTH, most // 2)
        rows = np.random.default_rng(seed).integers(len(found), size=batch_size)
        cut = found[rows, :length]
        return {"history": torch.from_numpy(np.pad(cut, ((0, 0), (0, length - cut.shape[1]))))}

    return ModelSpec(
        name=run.name,
        module=run.network(),
        example_inputs=samples(2, 0),
        output_names=["items", "scores"],
        dynamic_axes={"history": {1: (_LENGTH, 1, most)}},
        samples=samples,
        max_batch_size=_MOST_ROWS,
    )
