"""Photographs as cameras and phones send them: JPEG files of different content and size."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from trimaran.training.image_data import photographs

__all__ = ["draw_photographs"]

_SHARE = (0.6, 1.0)
_LONGER_SIDE = (320, 640)
_QUALITY = (75, 95)


def draw_photographs(count: int, seed: int) -> list[bytes]:
    """`count` JPEG files: sections of real photographs, 320 to 640 pixels on the longer side.

    The same seed gives the same files.
    """
    generator = np.random.default_rng(seed)
    sources = [Image.open(io.BytesIO(data)).convert("RGB") for data in photographs().values()]
    files = []
    for index in range(count):
        source = sources[index % len(sources)]
        share = generator.uniform(*_SHARE)
        width, height = (round(side * share) for side in source.size)
        left = int(generator.integers(source.width - width + 1))
        top = int(generator.integers(source.height - height + 1))
        section = source.crop((left, top, left + width, top + height))
        longer = int(generator.integers(*_LONGER_SIDE, endpoint=True))
        section.thumbnail((longer, longer), Image.Resampling.LANCZOS)
        file = io.BytesIO()
        section.save(file, "JPEG", quality=int(generator.integers(*_QUALITY, endpoint=True)))
        files.append(file.getvalue())
    return files
