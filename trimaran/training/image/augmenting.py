"""Photographs as training sees them: another part, mirrored or not, in slightly other colours."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from PIL import Image, ImageEnhance

from trimaran.served.decoding import ImageSettings, decode, prepare

__all__ = ["SETTINGS", "augmented"]

_LEAST_AREA = 0.5
_MOST_STRETCH = 4 / 3
_COLOUR = 0.2
_CHANGES = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)
_DETAIL = 2
"""JPEGs are decoded at a scale that has this many pixels for one of the result's side."""

SETTINGS = {"least_area": _LEAST_AREA, "most_stretch": _MOST_STRETCH, "colour": _COLOUR}
"""What decides how photographs are changed."""


def augmented(data: bytes, settings: ImageSettings, generator: np.random.Generator) -> np.ndarray:
    """A file of a photograph as float32 `[3, size, size]`, changed as `generator` draws.

    A rectangle of half to all of the square that serving looks at, mirrored half of the time, with
    brightness, contrast and saturation changed by up to a fifth.
    """
    image = decode(data, detail=round(_DETAIL * settings.size / settings.crop))
    side = settings.crop * min(image.size)
    area = generator.uniform(_LEAST_AREA, 1.0) * side**2
    stretch = np.exp(generator.uniform(-1, 1) * np.log(_MOST_STRETCH))
    width, height = (min(side, (area * ratio) ** 0.5) for ratio in (stretch, 1 / stretch))
    left = (image.width - side) / 2 + generator.uniform(0, side - width)
    top = (image.height - side) / 2 + generator.uniform(0, side - height)
    found = image.resize(
        (settings.size, settings.size),
        Image.Resampling.BICUBIC,
        box=(left, top, left + width, top + height),
    )
    if generator.random() < 0.5:
        found = found.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    for change in _CHANGES:
        found = change(found).enhance(generator.uniform(1 - _COLOUR, 1 + _COLOUR))
    return prepare(found, replace(settings, crop=1.0))
