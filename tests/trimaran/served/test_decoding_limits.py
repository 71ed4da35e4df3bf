"""What a photograph may cost to decode: pixels, memory, scans and time."""

from __future__ import annotations

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tests.trimaran.served.test_decoding import encode
from trimaran.served.decoding import decode, read
from trimaran.served.image_work import ImageError, Limits
from trimaran.served.refusal import BusyError
from trimaran.training.efficientnet_lite0 import SETTINGS


def with_scans(repeated: int, size: tuple[int, int] = (64, 64), **options: object) -> bytes:
    """A progressive JPEG whose last scan is there again and again."""
    file = encode(Image.new("L", size, 128), "JPEG", progressive=True, **options)
    scan, end = file.rfind(b"\xff\xda"), file.rfind(b"\xff\xd9")
    return file[:end] + file[scan:end] * repeated + file[end:]


def test_scans_are_work_and_bounded() -> None:
    decode(with_scans(50))
    with pytest.raises(ImageError, match="has 206 scans, more than the limit of 100"):
        decode(with_scans(200))


def test_what_only_looks_like_a_scan_is_none() -> None:
    preview = with_scans(80)
    decode(with_scans(50, exif=b"Exif\0\0" + preview) + b"\xff\xda" * 1000)


def test_memory_is_bounded_by_the_size_and_the_format() -> None:
    webp = encode(Image.new("RGB", (8000, 8000)), "WEBP", lossless=True, method=0)
    with pytest.raises(ImageError, match="and takes 1024 MB to decode, more than the limit of 512"):
        decode(webp)


class HeavyError(BusyError):
    """What a server that is busy with another heavy image would raise."""


def heavy() -> None:
    raise HeavyError


def test_work_is_foreseen_from_the_header() -> None:
    scans = with_scans(90, size=(1000, 1000))
    png = encode(Image.new("1", (1200, 1000)), "PNG")
    for file in (scans, png, encode(Image.new("RGB", (1500, 1500)), "WEBP", method=0, quality=1)):
        with pytest.raises(HeavyError):
            read(file, SETTINGS, Limits(heavy_s=0.05), heavy)


def test_no_photograph_of_a_camera_is_heavy(cat: Image.Image) -> None:
    photograph = cat.resize((4000, 3000), Image.Resampling.NEAREST)
    read(encode(photograph, "JPEG", quality=90, progressive=True), SETTINGS, on_heavy=heavy)


def test_work_that_was_not_foreseen_is_measured() -> None:
    texts = PngInfo()
    for _ in range(1_000):
        texts.add_text("a", "b")
    file = encode(Image.new("1", (1, 1)), "PNG", pnginfo=texts)
    with pytest.raises(HeavyError):
        read(file, SETTINGS, Limits(heavy_s=1e-4), heavy)


def test_the_search_for_scans_is_bounded() -> None:
    file = with_scans(0)
    parts = b"\xff\xc4\x00\x02" * 20_000 + b"\xff\xda" * 200
    with pytest.raises(ImageError, match="has more than 10000 parts"):
        decode(file[:-2] + parts + file[-2:])


def test_time_is_bounded() -> None:
    with pytest.raises(ImageError, match="takes more than 0 s of computing to decode"):
        decode(encode(Image.new("RGB", (64, 64))), Limits(cpu_s=0))


def test_bomb_is_refused_before_it_is_decoded() -> None:
    """Half a gigabyte of pixels in a few hundred kilobytes."""
    bomb = encode(Image.new("1", (23_000, 23_000)), "PNG")
    assert len(bomb) < 1_000_000
    with pytest.raises(ImageError, match=r"23000 x 23000 pixels, more than the limit of 64 mega"):
        decode(bomb)


def test_limit_is_configurable(cat: Image.Image) -> None:
    with pytest.raises(ImageError, match=r"451 x 300 pixels, more than the limit of 0\.1 mega"):
        decode(encode(cat, "PNG"), Limits(pixels=100_000))


def test_limits_have_the_units_of_their_names() -> None:
    names = ("max_megapixels", "max_scans", "max_decoded_megabytes", "max_decode_cpu_seconds")
    given = dict(zip(names, ("2", "7", "3", "0.5"), strict=True))
    assert Limits.of(given) == Limits(2e6, 7, 3e6, 0.5)
    assert Limits.of({}) == Limits()
