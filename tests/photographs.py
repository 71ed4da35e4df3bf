"""Many images out of few photographs."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageEnhance

from trimaran.training.image_data import photographs

__all__ = ["parts_of_photographs"]


def parts_of_photographs(
    count: int, seed: int, light: float = 1.0, size: tuple[int, int] = (200, 150)
) -> list[bytes]:
    """JPEG files of random parts, `light` times as light as they were, some a little darker."""
    generator = np.random.default_rng(seed)
    images = [Image.open(io.BytesIO(data)).convert("RGB") for data in photographs().values()]
    files = []
    for number in range(count):
        left, top = generator.integers(0, 100, 2)
        part = images[number % len(images)].crop((left, top, left + 200, top + 150))
        share = light * generator.uniform(0.5, 1)
        file = io.BytesIO()
        ImageEnhance.Brightness(part.resize(size)).enhance(share).save(file, "JPEG")
        files.append(file.getvalue())
    return files
