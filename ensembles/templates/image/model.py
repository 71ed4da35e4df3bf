"""The classifier, and what is served around it: a photograph in, labels and probabilities out.

It is EfficientNet-Lite0 with its ImageNet weights. For a classifier of your own, change the module,
its labels, and the settings by which photographs become its input.
"""

from __future__ import annotations

from ensembles.image_classifier import image_classifier
from trimaran import ModelSpec, Pipeline
from trimaran.training import efficientnet_lite0
from trimaran.training.image_data import class_names

SETTINGS = efficientnet_lite0.SETTINGS
"""ImageSettings(size=224, crop=0.875, mean=..., std=...), from `trimaran.served.decoding`."""


def network() -> ModelSpec:
    """What `trimaran export` exports, as `my_project_network_onnx`."""
    return ModelSpec(
        name="my_project_network",
        module=efficientnet_lite0.network(),  # in eval mode
        example_inputs=efficientnet_lite0.samples(2, seed=0),  # float32 [batch, 3, 224, 224]
        output_names=["logits"],
        samples=efficientnet_lite0.samples,  # optional: what the export is compared on
        labels={"logits": class_names()},
    )


def pipeline() -> Pipeline:
    """The ensemble `my_project`, which `trimaran publish` publishes: decode, classify, label."""
    return image_classifier("my_project_network_onnx", class_names(), SETTINGS, name="my_project")
