"""The image ensemble around EfficientNet-Lite0, as `trimaran publish` takes it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from ensembles.image_classifier import image_classifier, image_feedback
from ensembles.pipeline import Pipeline, PythonModel
from trimaran.training.efficientnet_lite0 import NAME, SETTINGS, network
from trimaran.training.image_data import class_names
from trimaran.training.image_reference import describe_images, expected_images

__all__ = ["feedback", "onnx_ensemble"]


def onnx_ensemble() -> Pipeline:
    """The ensemble `image_classifier` on the ONNX export, for `trimaran publish`.

    The images that the environment variable `TRIMARAN_IMAGES` names are its reference, if it is
    set: see `trimaran/training/image_reference.py`.
    """
    labels, files = class_names(), expected_images()
    reference = describe_images(files, SETTINGS, _classifier(), labels) if files else None
    return image_classifier(f"{NAME}_onnx", labels, SETTINGS, reference=reference)


def feedback() -> PythonModel:
    """The model `image_classifier_feedback`: true labels of photographs, for live accuracy."""
    return image_feedback(class_names())


def _classifier() -> Callable[[np.ndarray], np.ndarray]:
    """Logits `[batch, 1000]` of float32 `[batch, 3, 224, 224]`."""
    module = network()

    def classify(pixels: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return module(torch.from_numpy(pixels)).numpy()

    return classify
