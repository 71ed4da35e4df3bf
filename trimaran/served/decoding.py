"""An encoded photograph becomes the tensor that a network was evaluated with.

Crop and interpolation are those of EfficientNet's evaluation: the central square, a share of the
shorter side, resized with bicubic interpolation. `measure` gives what is counted of a photograph:
brightness, contrast, size and aspect.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, PngImagePlugin, UnidentifiedImageError

from trimaran.served.flattening import flatten, transparent_key
from trimaran.served.image_work import DEFAULT_LIMITS, ImageError, Limits, Metered, work_of
from trimaran.served.refusal import RefusedError

__all__ = [
    "MEASURES",
    "ImageSettings",
    "Photograph",
    "decode",
    "measure",
    "prepare",
    "read",
    "to_tensor",
]

MEASURES = ("brightness", "contrast", "shorter_side", "aspect")
"""The names of the values that `measure` gives."""

_FORMATS = ("JPEG", "PNG", "WEBP")

_DETAIL = 2
"""JPEGs are decoded at the smallest scale that has this many pixels for one of the result's side,
which leaves the interpolation enough to work with."""

_BASE64_STARTS = (b"/9j/", b"_9j_", b"iVBORw0KGgo", b"UklGR")
_ONE_ALPHABET = bytes.maketrans(b"-_", b"+/")
"""From the one for addresses to the usual one."""

_ORIENTATION_TAG = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What turns a picture upright, by its EXIF orientation."""

_SIDE = 56
"""Evenly spread pixels of a side that are measured: enough for a mean and a deviation."""
_WEIGHTS = (0.299, 0.587, 0.114)
"""Of red, green and blue in luminance: ITU-R BT.601."""

# The limit is checked here, per model, before anything is decoded.
Image.MAX_IMAGE_PIXELS = None
# Of text and of a colour profile, unpacked: a sound file may have much.
PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY = 64 * 2**20


@dataclass(frozen=True)
class ImageSettings:
    """How a network expects its images.

    `size`: height and width in pixels. `crop`: the central share of the shorter side. `mean` and
    `std`: by channel in RGB, on values from 0 to 255.
    """

    size: int
    crop: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


@dataclass(frozen=True)
class Photograph:
    """A photograph as a network takes it, with what is counted of it.

    `pixels` are float32 `[3, size, size]`, and `crop` the same before normalisation, uint8
    `[size, size, 3]` in RGB. `shorter_side`: of the file, in pixels. `aspect`: the upright
    photograph's width by its height.
    """

    pixels: np.ndarray
    crop: np.ndarray
    shorter_side: int
    aspect: float


def read(
    data: bytes,
    settings: ImageSettings,
    limits: Limits = DEFAULT_LIMITS,
    on_heavy: Callable[[], None] = lambda: None,
) -> Photograph:
    """A JPEG, PNG or WebP file, ready for a network. Raises `ImageError`.

    `on_heavy` is called before more work is done than `limits.heavy_s`; what it raises passes.
    """
    file = _open(data, limits, on_heavy)
    shorter_side = min(file.size)  # before it is loaded, perhaps at a smaller scale
    image = _load(file, detail=round(_DETAIL * settings.size / settings.crop))
    crop = _crop(image, settings)
    return Photograph(_normalise(crop, settings), crop, shorter_side, image.width / image.height)


def to_tensor(data: bytes, settings: ImageSettings, limits: Limits = DEFAULT_LIMITS) -> np.ndarray:
    """A JPEG, PNG or WebP file as float32 `[3, size, size]`. Raises `ImageError`."""
    return read(data, settings, limits).pixels


def prepare(image: Image.Image, settings: ImageSettings) -> np.ndarray:
    """An RGB image cropped, resized and normalised: float32 `[3, size, size]`."""
    return _normalise(_crop(image, settings), settings)


def decode(data: bytes, limits: Limits = DEFAULT_LIMITS, detail: int = 0) -> Image.Image:
    """The photograph upright, in RGB, transparent parts on white.

    `data` is the file itself, or the file in base64. With `detail`, a JPEG may come out smaller,
    with no side below that. Raises `ImageError` naming the fault.
    """
    return _load(_open(data, limits, lambda: None), detail)


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


def _crop(image: Image.Image, settings: ImageSettings) -> np.ndarray:
    side = settings.crop * min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    resized = image.resize(
        (settings.size, settings.size),
        Image.Resampling.BICUBIC,
        box=(left, top, left + side, top + side),
    )
    return np.asarray(resized)


def _normalise(crop: np.ndarray, settings: ImageSettings) -> np.ndarray:
    channels = crop.transpose(2, 0, 1)
    mean, std = np.array([settings.mean, settings.std], dtype=np.float32)[:, :, None, None]
    tensor = np.empty(channels.shape, dtype=np.float32)
    np.subtract(channels, mean, out=tensor)
    tensor /= std
    return tensor


def _open(data: bytes, limits: Limits, on_heavy: Callable[[], None]) -> Image.Image:
    """The file with its header read and checked, and nothing decoded."""
    file = _file_bytes(data)
    try:
        image = Image.open(Metered(file, limits, on_heavy), formats=_FORMATS)
    except UnidentifiedImageError:
        raise ImageError(f"is not a JPEG, PNG or WebP file ({len(file)} bytes)") from None
    except (RefusedError, MemoryError):
        raise
    except Exception as error:  # a damaged file leads decoders to whatever they raise
        raise ImageError(f"is damaged: {error}") from error
    work = work_of(image, file, limits)
    if work > limits.heavy_s:
        on_heavy()
    return image


def _load(image: Image.Image, detail: int) -> Image.Image:
    """Decoded, upright, in RGB."""
    try:
        if detail:
            image.draft(None, (detail, detail))
        key = transparent_key(image)
        image.load()
        if image.mode == "P" and image.palette is None:
            raise ImageError("is damaged: it has a palette's numbers and no palette")
    except (RefusedError, MemoryError):
        raise
    except Exception as error:  # a damaged file leads decoders to whatever they raise
        raise ImageError(f"is truncated or damaged: {error}") from error
    turn = _UPRIGHT.get(_orientation(image))
    flat = flatten(image, key)
    return flat if turn is None else flat.transpose(turn)


def _file_bytes(data: bytes) -> bytes:
    """The file in `data`, decoded where it comes in base64 (JSON cannot carry bytes)."""
    if not data:
        raise ImageError("is empty")
    text = data.strip()
    text = text.partition(b"base64,")[2].lstrip() if text.startswith(b"data:") else text
    if not text.startswith(_BASE64_STARTS) or text[8:12] == b"WEBP":
        return data
    text = text.translate(_ONE_ALPHABET, b"\r\n\t").rstrip(b"=")
    try:
        return base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except binascii.Error as error:
        raise ImageError(f"looks like base64 but is not: {error}") from error


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; 1 (upright) where there is none or the block is damaged."""
    try:
        return int(image.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:  # the parser raises whatever a damaged block leads it to
        return 1
