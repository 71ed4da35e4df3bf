"""What is counted of a photograph: how light it is, how much contrast, its size and its shape.

Self-contained: this file is copied into the versions of `image_preprocess`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from trimaran.served.image_preprocess.decoding import Photograph

__all__ = ["MEASURES", "measure"]

MEASURES = ("brightness", "contrast", "shorter_side", "aspect")
"""What `measure` gives, by name."""

_SIDE = 56
"""Pixels of a side that are looked at, evenly spread: enough for a mean and a deviation."""
_WEIGHTS = (0.299, 0.587, 0.114)
"""Of red, green and blue in luminance: ITU-R BT.601."""


def measure(photograph: Photograph) -> tuple[float, float, float, float]:
    """The brightness, contrast, shorter side and aspect of a photograph.

    Brightness is the mean of the crop's luminance, from 0 to 255, and contrast its standard
    deviation. The shorter side is that of the file, in pixels.
    """
    crop = photograph.crop
    step = max(1, len(crop) // _SIDE)
    channels = crop[::step, ::step].transpose(2, 0, 1).astype(np.float32, order="C")
    # Not as a product of matrices: for these sizes that wakes threads of the linear algebra
    # library, which then spin on the cores that others decode on.
    luminance = sum(weight * channel for weight, channel in zip(_WEIGHTS, channels, strict=True))
    brightness = float(np.mean(luminance))
    contrast = float(np.std(luminance))
    return brightness, contrast, photograph.shorter_side, photograph.aspect
