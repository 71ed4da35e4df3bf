"""A decoded picture of any mode becomes RGB, its transparent parts white.

A PNG without an alpha channel may name one transparent colour. Pillow knows it in the file's own
scale, and the picture's pixels in another, so the comparison is made here.
"""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

__all__ = ["Key", "flatten", "transparent_key"]

Key = Callable[[Image.Image, int], np.ndarray]
"""From some rows of the picture, and the first of them, to bool `[rows, width]`: transparent."""

_ROWS = 512
"""Converted at once, so that a large picture needs no second and third copy."""
_SCALES = {"1": 1, "L;2": 85, "L;4": 17, "L": 1, "I;16B": 1}
"""Of a decoded value and the file's own, by Pillow's name of the file's pixels."""
_HIGH_BYTES, _LOW_BYTES = "RGB;16B", "RGB;16L"


def transparent_key(image: Image.Image) -> Key | None:
    """Which pixels of a PNG in memory, not yet decoded, have its transparent colour, if any."""
    colour = image.info.get("transparency")
    if not isinstance(image, PngImageFile) or not isinstance(colour, (int, tuple)):
        return None
    if image.mode == "P" or not isinstance(image.fp, io.BytesIO):
        return None
    raw = str(image.tile[0].args)
    if isinstance(colour, int):
        value = colour * _SCALES.get(raw, 1)
        return lambda rows, _: np.asarray(rows) == (bool(value) if rows.mode == "1" else value)
    if raw != _HIGH_BYTES:
        return lambda rows, _: (np.asarray(rows) == colour).all(axis=2)
    low = Image.open(io.BytesIO(image.fp.getvalue()), formats=("PNG",))
    low.tile = [tile._replace(args=_LOW_BYTES) for tile in low.tile]
    low.load()
    high_colour, low_colour = [each >> 8 for each in colour], [each & 255 for each in colour]

    def both(rows: Image.Image, top: int) -> np.ndarray:
        lower = np.asarray(low.crop((0, top, low.width, top + rows.height)))
        return ((np.asarray(rows) == high_colour) & (lower == low_colour)).all(axis=2)

    return both


def flatten(image: Image.Image, key: Key | None = None) -> Image.Image:
    """The picture in RGB; the same object where it already is."""
    if not key and not image.has_transparency_data and not image.mode.startswith("I"):
        return image if image.mode == "RGB" else image.convert("RGB")
    flat = Image.new("RGB", image.size)
    for top in range(0, image.height, _ROWS):
        rows = image.crop((0, top, image.width, min(top + _ROWS, image.height)))
        flat.paste(_flattened(rows, key and key(rows, top)), (0, top))
    return flat


def _flattened(rows: Image.Image, transparent: np.ndarray | None) -> Image.Image:
    if transparent is not None:
        rows.info.pop("transparency", None)
    if rows.mode.startswith("I"):  # 16 bits of grey, which a plain conversion would clip to white
        rows = Image.fromarray((np.asarray(rows, dtype=np.uint32) >> 8).astype(np.uint8))
    if transparent is not None:
        rgb = rows.convert("RGB")
        rgb.paste("white", mask=Image.fromarray(transparent))
        return rgb
    if not rows.has_transparency_data:
        return rows.convert("RGB")
    rgba = rows.convert("RGBA")
    white = Image.new("RGBA", rgba.size, "white")
    return Image.alpha_composite(white, rgba).convert("RGB")
