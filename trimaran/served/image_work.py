"""How much work an image is to decode, and the limits of it.

The work is estimated from the header before anything is decoded, and measured meanwhile. So a file
of any size in bytes is refused for the pixels, passes, memory and seconds that it would take.
"""

from __future__ import annotations

import io
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from PIL import Image

from trimaran.served.refusal import RefusedError

__all__ = ["DEFAULT_LIMITS", "ImageError", "Limits", "Metered", "work_of"]

_JPEG, _PNG, _WEBP = "JPEG", "PNG", "WEBP"
_PIXEL_BYTES = {_JPEG: 0, _PNG: 8, _WEBP: 16}
"""In memory for a pixel, with the copies that decoder and conversion make. JPEGs are decoded
smaller, but a progressive one holds two bytes for each value of the whole photograph meanwhile."""
_PROGRESSIVE_BYTES = 6

_PIXEL_S = {_JPEG: 3e-9, _PNG: 50e-9, _WEBP: 30e-9}
_SCAN_S = 0.7e-9
_BYTE_S = {_JPEG: 20e-9, _PNG: 0.0, _WEBP: 60e-9}
"""CPU seconds for a pixel, for a pixel in each scan, and for a byte of the file: what the slowest
of photographs, noise and plain colours took at 12 megapixels (Pillow 13)."""

_MARKER = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])")
"""Of a JPEG: neither a byte of a scan's data nor a restart between its parts."""
_START, _END = b"\xd8", b"\xd9"
_SCAN = b"\xda"
"""Each scan is a pass over all pixels."""
_MOST_MARKERS = 10_000
"""No file has so many; to look for more would be work too."""


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
    heavy_s: float = 1.0
    """Estimated or measured computing from which an image is heavy."""

    @classmethod
    def of(cls, parameters: Mapping[str, str]) -> Limits:
        """From a model's parameters, each of which may be left out.

        `max_megapixels`, `max_scans`, `max_decoded_megabytes`, `max_decode_cpu_seconds`,
        `heavy_decode_cpu_seconds`.
        """
        default = cls()
        return cls(
            float(parameters.get("max_megapixels", default.pixels / 1e6)) * 1e6,
            int(parameters.get("max_scans", default.scans)),
            float(parameters.get("max_decoded_megabytes", default.decoded_bytes / 1e6)) * 1e6,
            float(parameters.get("max_decode_cpu_seconds", default.cpu_s)),
            float(parameters.get("heavy_decode_cpu_seconds", default.heavy_s)),
        )


DEFAULT_LIMITS = Limits()


class Metered(io.BytesIO):
    """A file that is no longer read once this thread has worked too long on it.

    `on_heavy` is called once that work is heavy.
    """

    def __init__(self, file: bytes, limits: Limits, on_heavy: Callable[[], None]) -> None:
        super().__init__(file)
        self._limits = limits
        self._on_heavy = on_heavy
        self._began_s = time.thread_time()

    def read(self, size: int | None = -1, /) -> bytes:
        worked_s = time.thread_time() - self._began_s
        if worked_s > self._limits.cpu_s:
            raise ImageError(f"takes more than {self._limits.cpu_s:g} s of computing to decode")
        if worked_s > self._limits.heavy_s:
            self._on_heavy()
        return super().read(size)


def work_of(image: Image.Image, file: bytes, limits: Limits) -> float:
    """The CPU seconds that decoding will take at most, estimated from the header.

    `image` is that of `file`, not yet decoded. Raises `ImageError` for more work than allowed.
    """
    # A JPEG of several pictures is a photograph with its preview or its second eye.
    kind = _JPEG if image.format == "MPO" else image.format or ""
    frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
    if frames > 1:
        raise ImageError(f"is animated ({frames} frames); send a single frame")
    pixels = image.width * image.height
    size = f"has {image.width} x {image.height} pixels"
    if pixels > limits.pixels:
        raise ImageError(f"{size}, more than the limit of {limits.pixels / 1e6:g} megapixels")
    scans = _scans(file, limits.scans) if kind == _JPEG else 0
    if scans > limits.scans:
        raise ImageError(f"has {scans} scans, more than the limit of {limits.scans}")
    needed = pixels * (_PROGRESSIVE_BYTES if scans > 1 else _PIXEL_BYTES[kind])
    if needed > limits.decoded_bytes:
        raise ImageError(
            f"{size}, and takes {needed / 1e6:.0f} MB to decode, more than the limit of "
            f"{limits.decoded_bytes / 1e6:g} MB"
        )
    return pixels * (_PIXEL_S[kind] + scans * _SCAN_S) + len(file) * _BYTE_S[kind]


def _scans(file: bytes, most: int) -> int:
    """The scans of a JPEG's first picture; of a file with `most` or fewer, perhaps too many.

    Such a file costs one fast search. In another one, what only looks like a scan is left out: in
    a preview, in a colour profile, or in the film that phones append. Raises `ImageError`.
    """
    count = file.count(b"\xff" + _SCAN)
    if count <= most:
        return count
    count = at = 0
    for _ in range(_MOST_MARKERS):
        found = _MARKER.search(file, at)
        if not found or found[1] == _END:
            return count
        at = found.end()
        count += found[1] == _SCAN
        if found[1] not in (_START, b"\x01"):  # those have no length
            at += int.from_bytes(file[at : at + 2], "big")
    raise ImageError(f"is damaged: it has more than {_MOST_MARKERS} parts")
