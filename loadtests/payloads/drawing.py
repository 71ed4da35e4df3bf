"""Photographs and customers drawn with a seed.

Photographs are JPEG files of different content and size, as cameras and phones send them. Customers
are flat records of a telephone company.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image

from trimaran.training.image_data import photographs
from trimaran.training.tabular.data.sources import load

__all__ = ["IDENTIFIER", "draw_photographs", "draw_records"]

IDENTIFIER = "customer_id"

_TABLE = "mlc_churn"
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


def draw_records(count: int, seed: int) -> list[dict[str, Any]]:
    """`count` customers of the public table by field, each with its `customer_id`.

    The same seed gives the same customers. They repeat beyond the length of the table.
    """
    dataset = load(_TABLE)
    names = [field.name for field in dataset.schema.fields]
    frame = dataset.frame.sample(count, random_state=seed, replace=count > len(dataset.frame))
    identifiers = frame[dataset.schema.identifier or IDENTIFIER].tolist()
    rows = frame[names].astype(object).to_numpy().tolist()
    return [
        {IDENTIFIER: identifier, **dict(zip(names, row, strict=True))}
        for identifier, row in zip(identifiers, rows, strict=True)
    ]
