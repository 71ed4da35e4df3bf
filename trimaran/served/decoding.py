"""An encoded photograph becomes the tensor that a network was evaluated with.

Crop and interpolation are those of EfficientNet's evaluation: the central square, a share of the
shorter side, resized with bicubic interpolation. `measure` gives what is counted of a photograph:
brightness, contrast, size and aspect.
"""

from __future__ import annotations

import base64
import binascii
import io
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from PIL import Image, PngImagePlugin, UnidentifiedImageError

from trimaran.served.flattening import flatten, transparent_key
from trimaran.served.refusal import RefusedError

__all__ = [
    "MEASURES",
    "ImageError",
    "ImageSettings",
    "Limits",
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

_DECODED_BYTES = {"PNG": 8, "WEBP": 16}
"""For a pixel, with the copies that decoder and conversion make. JPEGs are decoded smaller, but a
progressive one holds two bytes for each value of the whole photograph meanwhile."""
_PROGRESSIVE_BYTES = 6
_MARKER = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])")
"""Of a JPEG: neither a byte of a scan's data nor a restart between its parts."""
_START, _END = b"\xd8", b"\xd9"
_SCAN = b"\xda"
"""Each scan is a pass over all pixels."""

# The limit is checked here, per model, before anything is decoded.
Image.MAX_IMAGE_PIXELS = None
# Of text and of a colour profile, unpacked: a sound file may have much.
PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY = 64 * 2**20


class ImageError(RefusedError):
    """A photograph that cannot be used, and why."""


@dataclass(frozen=True)
class Limits:
    """How much work a photograph may be. No camera's photograph comes near them."""

    pixels: float = 64e6
    scans: int = 100
    """Of a JPEG. A progressive one has about ten."""
    decoded_bytes: float = 512e6
    """Memory that decoding takes, estimated from the size and the format."""
    cpu_s: float = 10.0
    """Of decoding, checked each time that another part of the file is read."""

    @classmethod
    def of(cls, parameters: Mapping[str, str]) -> Limits:
        """From a model's parameters, each of which may be left out.

        `max_megapixels`, `max_scans`, `max_decoded_megabytes`, `max_decode_cpu_seconds`.
        """
        default = cls()
        return cls(
            float(parameters.get("max_megapixels", default.pixels / 1e6)) * 1e6,
            int(parameters.get("max_scans", default.scans)),
            float(parameters.get("max_decoded_megabytes", default.decoded_bytes / 1e6)) * 1e6,
            float(parameters.get("max_decode_cpu_seconds", default.cpu_s)),
        )


DEFAULT_LIMITS = Limits()


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


def read(data: bytes, settings: ImageSettings, limits: Limits = DEFAULT_LIMITS) -> Photograph:
    """A JPEG, PNG or WebP file, ready for a network. Raises `ImageError`."""
    file = _open(data, limits)
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
    return _load(_open(data, limits), detail)


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


class _Metered(io.BytesIO):
    """A file that is no longer read once this thread has worked too long on it."""

    def __init__(self, file: bytes, cpu_s: float) -> None:
        super().__init__(file)
        self.cpu_s = cpu_s
        self._end_s = time.thread_time() + cpu_s

    def read(self, size: int | None = -1, /) -> bytes:
        if time.thread_time() > self._end_s:
            raise ImageError(f"takes more than {self.cpu_s:g} s of computing to decode")
        return super().read(size)


def _open(data: bytes, limits: Limits) -> Image.Image:
    """The file with its header read and checked, and nothing decoded."""
    file = _file_bytes(data)
    try:
        image = Image.open(_Metered(file, limits.cpu_s), formats=_FORMATS)
    except UnidentifiedImageError:
        raise ImageError(f"is not a JPEG, PNG or WebP file ({len(file)} bytes)") from None
    except (ImageError, MemoryError):
        raise
    except Exception as error:  # a damaged file leads decoders to whatever they raise
        raise ImageError(f"is damaged: {error}") from error
    _refuse_work(image, file, limits)
    return image


def _refuse_work(image: Image.Image, file: bytes, limits: Limits) -> None:
    """Raise `ImageError` where decoding would be more work than allowed."""
    # A JPEG of several pictures is a photograph with its preview or its second eye.
    frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
    if frames > 1:
        raise ImageError(f"is animated ({frames} frames); send a single frame")
    pixels = image.width * image.height
    size = f"has {image.width} x {image.height} pixels"
    if pixels > limits.pixels:
        raise ImageError(f"{size}, more than the limit of {limits.pixels / 1e6:g} megapixels")
    of_pixel = _DECODED_BYTES.get(image.format or "", 0)
    if image.format in ("JPEG", "MPO"):
        found = _scans(file, limits.scans)
        if found > limits.scans:
            raise ImageError(f"has {found} scans, more than the limit of {limits.scans}")
        of_pixel = _PROGRESSIVE_BYTES if found > 1 else 0
    if pixels * of_pixel > limits.decoded_bytes:
        raise ImageError(
            f"{size}, and takes {pixels * of_pixel / 1e6:.0f} MB to decode, more than the limit of "
            f"{limits.decoded_bytes / 1e6:g} MB"
        )


def _load(image: Image.Image, detail: int) -> Image.Image:
    """Decoded, upright, in RGB."""
    try:
        if detail:
            image.draft(None, (detail, detail))
        key = transparent_key(image)
        image.load()
    except (ImageError, MemoryError):
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


def _scans(file: bytes, most: int) -> int:
    """The scans of a JPEG's first picture; of a file with `most` or fewer, perhaps too many.

    Such a file costs one fast search. In another one, what only looks like a scan is left out: in
    a preview, in a colour profile, or in the film that phones append.
    """
    count = file.count(b"\xff" + _SCAN)
    if count <= most:
        return count
    count = at = 0
    while found := _MARKER.search(file, at):
        at = found.end()
        if found[1] == _END:
            break
        count += found[1] == _SCAN
        if found[1] not in (_START, b"\x01"):  # those have no length
            at += int.from_bytes(file[at : at + 2], "big")
    return count
