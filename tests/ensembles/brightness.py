"""A step of a function alone, since its version holds this file."""

from __future__ import annotations

import numpy as np

from trimaran import python_step, tensor


@python_step(
    inputs=[tensor("pixels", "FP32", 3, 224, 224)], outputs=[tensor("brightness", "FP32", 1)]
)
def brightness(pixels: np.ndarray) -> np.ndarray:
    """The mean of a row."""
    return pixels.mean().reshape(1)
