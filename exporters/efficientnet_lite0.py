"""EfficientNet-Lite0, as `trimaran export exporters.efficientnet_lite0:model` takes it."""

from __future__ import annotations

from exporters.spec import ModelSpec
from trimaran.training.efficientnet_lite0 import NAME, network, samples
from trimaran.training.image_data import class_names

__all__ = ["model"]


def model() -> ModelSpec:
    """The trained network, float32 `[batch, 3, 224, 224]` to logits `[batch, 1000]`."""
    return ModelSpec(
        name=NAME,
        module=network(),
        example_inputs=samples(2, 0),
        output_names=["logits"],
        samples=samples,
        labels={"logits": class_names()},
    )
