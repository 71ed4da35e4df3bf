"""A network that was trained on photographs, as `trimaran export runs/NAME/latest` takes it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from exporters.spec import ModelSpec
from trimaran.served.decoding import prepare
from trimaran.training.image.trained import ImageRun

__all__ = ["model_of"]


def model_of(run: ImageRun) -> ModelSpec:
    """The network, from the run's directory.

    `image` is float32 `[batch, 3, size, size]`, as serving prepares it, and `logits` float32
    `[batch, classes]`. Exports are verified on photographs of the training part, half of them
    mirrored.
    """
    crops, settings = run.samples(), replace(run.settings(), crop=1.0)

    def samples(batch_size: int, seed: int) -> dict[str, Tensor]:
        generator = np.random.default_rng(seed)
        chosen = crops[generator.integers(len(crops), size=batch_size)]
        mirrored = generator.integers(2, size=batch_size)
        rows = [
            prepare(Image.fromarray(crop[:, ::-1] if turned else crop), settings)
            for crop, turned in zip(chosen, mirrored, strict=True)
        ]
        return {"image": torch.from_numpy(np.stack(rows))}

    return ModelSpec(
        name=run.name,
        module=run.network(),
        example_inputs=samples(2, 0),
        output_names=["logits"],
        samples=samples,
        labels={"logits": run.labels()},
    )
