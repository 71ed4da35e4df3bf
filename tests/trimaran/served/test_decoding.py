"""Photographs of every kind as the network is given them, and what is counted of them."""

from __future__ import annotations

import base64
import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageStat
from PIL.PngImagePlugin import PngInfo

from trimaran.served.decoding import (
    ImageSettings,
    decode,
    measure,
    prepare,
    read,
    to_tensor,
)
from trimaran.served.image_work import ImageError
from trimaran.training.efficientnet_lite0 import SETTINGS
from trimaran.training.image_data import photographs


def encode(image: Image.Image, format: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def mean_difference(left: Image.Image, right: Image.Image) -> float:
    return float(np.abs(np.asarray(left, np.float32) - np.asarray(right, np.float32)).mean())


@pytest.mark.parametrize(
    ("format", "options"), [("JPEG", {"quality": 95}), ("PNG", {}), ("WEBP", {"quality": 95})]
)
def test_formats(cat: Image.Image, format: str, options: dict[str, object]) -> None:
    decoded = decode(encode(cat, format, **options))
    assert decoded.mode == "RGB"
    assert mean_difference(decoded, cat) < 3


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_undone(cat: Image.Image, orientation: int) -> None:
    """A camera stores the picture turned, and says how; each way comes out upright."""
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = cat.transpose(undo[orientation]) if orientation in undo else cat
    exif = Image.Exif()
    exif[0x0112] = orientation
    decoded = decode(encode(stored, "PNG", exif=exif))
    assert decoded.size == cat.size
    assert mean_difference(decoded, cat) == 0


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_damaged_exif_does_not_matter(cat: Image.Image) -> None:
    """EXIF whose values are of another type than their tags: the picture itself is fine."""
    exif = Image.Exif()
    exif[0x0112] = 1
    block = bytearray(exif.tobytes())
    file = encode(cat, "JPEG", exif=bytes(block))
    at = file.index(b"Exif\0\0") + 6
    for offset in range(at, at + len(block) - 6):
        for value in (0, 2, 5, 7, 12, 255):
            damaged = bytearray(file)
            damaged[offset] = value
            assert decode(bytes(damaged)).mode == "RGB"


def test_photograph_with_a_preview_is_the_first_picture(cat: Image.Image) -> None:
    """Phones store a JPEG of several pictures (MPO)."""
    preview = cat.resize((45, 30))
    assert decode(encode(cat, "MPO", save_all=True, append_images=[preview])).size == cat.size


def test_greyscale_becomes_three_equal_channels(cat: Image.Image) -> None:
    grey = cat.convert("L")
    decoded = np.asarray(decode(encode(grey, "PNG")))
    np.testing.assert_array_equal(decoded, np.asarray(grey)[..., None].repeat(3, axis=2))


def test_sixteen_bit_greyscale_keeps_its_tones(cat: Image.Image) -> None:
    wide = Image.fromarray(np.asarray(cat.convert("L"), np.uint16) * 257)
    assert mean_difference(decode(encode(wide, "PNG")), cat.convert("L").convert("RGB")) == 0


def test_transparent_parts_are_white() -> None:
    image = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    image.putpixel((1, 1), (0, 0, 255, 255))
    decoded = decode(encode(image, "PNG"))
    assert decoded.getpixel((0, 0)) == (255, 255, 255)
    assert decoded.getpixel((1, 1)) == (0, 0, 255)


def test_transparent_palette_is_white() -> None:
    image = Image.new("P", (4, 4), 1)
    image.putpalette([255, 0, 0, 0, 255, 0])
    image.putpixel((0, 0), 0)
    decoded = decode(encode(image, "PNG", transparency=0))
    assert decoded.getpixel((0, 0)) == (255, 255, 255)
    assert decoded.getpixel((1, 1)) == (0, 255, 0)


def png(bits: int, colour_type: int, samples: list[int], key: list[int]) -> bytes:
    """One row of a PNG of any depth, and its transparent colour."""

    def chunk(name: bytes, data: bytes) -> bytes:
        check = zlib.crc32(name + data).to_bytes(4, "big")
        return len(data).to_bytes(4, "big") + name + data + check

    width = len(samples) // (3 if colour_type == 2 else 1)
    text = "".join(f"{sample:0{bits}b}" for sample in samples)
    row = int(text.ljust(-(-len(text) // 8) * 8, "0"), 2).to_bytes(-(-len(text) // 8), "big")
    header = struct.pack(">IIBBBBB", width, 1, bits, colour_type, 0, 0, 0)
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", header),
            chunk(b"tRNS", b"".join(each.to_bytes(2, "big") for each in key)),
            chunk(b"IDAT", zlib.compress(b"\0" + row)),
            chunk(b"IEND", b""),
        )
    )


@pytest.mark.parametrize(
    ("bits", "colour_type", "samples", "key", "expected"),
    [
        (1, 0, [0, 1, 0], [0], [255, 255, 255]),
        (1, 0, [0, 1, 0], [1], [0, 255, 0]),
        (2, 0, [0, 1, 3], [1], [0, 255, 255]),
        (4, 0, [0, 3, 5], [3], [0, 255, 85]),
        (8, 0, [0, 3, 5], [3], [0, 255, 5]),
        (16, 0, [0, 0x1203, 0x1204], [0x1203], [0, 255, 0x12]),
        (8, 2, [9, 9, 9, 1, 2, 3], [1, 2, 3], [9, 255]),
        (16, 2, [0x901] * 3 + [0x902] * 3, [0x902] * 3, [9, 255]),
    ],
)
def test_a_transparent_colour_of_any_depth_is_white(
    bits: int, colour_type: int, samples: list[int], key: list[int], expected: list[int]
) -> None:
    decoded = decode(png(bits, colour_type, samples, key))
    assert np.asarray(decoded)[0].tolist() == [[value] * 3 for value in expected]


def test_transparency_is_kept_over_many_rows_and_turned_upright() -> None:
    image = Image.new("LA", (3, 1200), (40, 255))
    image.putpixel((0, 1100), (40, 0))
    exif = Image.Exif()
    exif[0x0112] = 3
    decoded = np.asarray(decode(encode(image, "PNG", exif=exif)))
    assert decoded[99, 2].tolist() == [255] * 3
    assert (decoded == 255).all(axis=2).sum() == 1


@pytest.mark.parametrize("compressed", [True, False])
def test_long_texts_do_not_make_a_file_damaged(cat: Image.Image, compressed: bool) -> None:
    info = PngInfo()
    info.add_itxt("comment", "long " * 400_000, zip=compressed)
    info.add_text("comment", "long " * 400_000, zip=compressed)
    assert mean_difference(decode(encode(cat, "PNG", pnginfo=info)), cat) == 0


def test_palette(cat: Image.Image) -> None:
    palette = cat.quantize(64)
    assert mean_difference(decode(encode(palette, "PNG")), palette.convert("RGB")) == 0


def test_cmyk(cat: Image.Image) -> None:
    assert mean_difference(decode(encode(cat.convert("CMYK"), "JPEG", quality=95)), cat) < 3


@pytest.mark.parametrize("prefix", [b"", b"data:image/jpeg;base64,"])
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_base64_is_the_file_it_spells(cat: Image.Image, format: str, prefix: bytes) -> None:
    file = encode(cat, format)
    assert mean_difference(decode(prefix + base64.b64encode(file)), decode(file)) == 0


@pytest.mark.parametrize("spelt", [base64.encodebytes, base64.urlsafe_b64encode])
def test_wrapped_and_url_safe_base64_is_read(
    cat: Image.Image, spelt: Callable[[bytes], bytes]
) -> None:
    file = encode(cat, "JPEG")
    plain = decode(file)
    for text in (spelt(file), spelt(file).rstrip(b"=\n"), b" " + spelt(file).strip() + b"\r\n"):
        assert mean_difference(decode(text), plain) == 0


def animated(format: str) -> bytes:
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "green", "blue")]
    return encode(frames[0], format, save_all=True, append_images=frames[1:])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (png(8, 3, [1], [0]), "is damaged: it has a palette's numbers and no palette"),
        (b"hello, I am a text file", "is not a JPEG, PNG or WebP file"),
        (b"/9j/ not base64 at all", "looks like base64 but is not"),
        (b"\xff\xd8\xff", "is not a JPEG, PNG or WebP file"),
        (animated("WEBP"), r"is animated \(3 frames\)"),
        (animated("PNG"), r"is animated \(3 frames\)"),
        *(
            (encode(Image.new("RGB", (16, 16)), other), "is not a JPEG, PNG or WebP file")
            for other in ("GIF", "TIFF", "BMP", "AVIF", "JPEG2000")
        ),
    ],
)
def test_bad_files_are_named(data: bytes, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        decode(data)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_truncated_files_are_refused(cat: Image.Image, format: str, share: float) -> None:
    file = encode(cat, format)
    with pytest.raises(ImageError, match=r"truncated|damaged|is not a"):
        decode(file[: int(len(file) * share)])


def test_tensor_is_the_evaluation_of_the_network(cat: Image.Image) -> None:
    """Central crop of 0.875, bicubic to 224 x 224, `(x - 127) / 128`, channels first."""
    side = 0.875 * 300
    box = ((451 - side) / 2, (300 - side) / 2, (451 + side) / 2, (300 + side) / 2)
    resized = cat.resize((224, 224), Image.Resampling.BICUBIC, box=box)
    expected = ((np.asarray(resized, np.float32) - 127) / 128).transpose(2, 0, 1)
    tensor = to_tensor(encode(cat, "PNG"), SETTINGS)
    assert tensor.dtype == np.float32
    assert tensor.flags.c_contiguous
    np.testing.assert_allclose(tensor, expected, atol=1e-6)


def test_large_jpeg_at_reduced_scale_is_close_to_the_whole(cat: Image.Image) -> None:
    large = encode(cat.resize((4510, 3000), Image.Resampling.LANCZOS), "JPEG", quality=95)
    reduced, whole = to_tensor(large, SETTINGS), prepare(decode(large), SETTINGS)
    assert np.abs(reduced - whole).mean() < 0.02


@pytest.mark.parametrize("size", [(1, 1), (2, 900), (900, 2), (224, 224)])
def test_any_size_gives_a_whole_tensor(size: tuple[int, int]) -> None:
    tensor = to_tensor(encode(Image.new("RGB", size, (127, 127, 127)), "PNG"), SETTINGS)
    np.testing.assert_array_equal(tensor, np.zeros((3, 224, 224), np.float32))


@pytest.mark.parametrize("name", photographs())
def test_brightness_and_contrast_are_those_of_the_luminance(name: str) -> None:
    photograph = read(photographs()[name], SETTINGS)
    every = ImageStat.Stat(Image.fromarray(photograph.crop).convert("L"))
    brightness, contrast, _, _ = measure(photograph)
    assert brightness == pytest.approx(every.mean[0], abs=2)
    assert contrast == pytest.approx(every.stddev[0], abs=2)


def test_the_crop_is_what_the_network_is_given() -> None:
    photograph = read(photographs()["coffee.png"], SETTINGS)
    expected = (photograph.crop.transpose(2, 0, 1).astype(np.float32) - 127) / 128
    np.testing.assert_array_equal(photograph.pixels, expected)


@pytest.mark.parametrize(
    ("colour", "brightness"),
    [("black", 0), ("white", 255), ("red", 76.2), ("lime", 149.7), ("blue", 29.1)],
)
def test_one_colour_has_its_luminance_and_no_contrast(colour: str, brightness: float) -> None:
    found = measure(read(encode(Image.new("RGB", (300, 200), colour)), SETTINGS))
    assert found[0] == pytest.approx(brightness, abs=0.1)
    assert found[1] == pytest.approx(0, abs=0.01)
    assert found[2:] == (200, 1.5)


def test_half_black_half_white_has_the_most_contrast() -> None:
    image = Image.new("L", (224, 224))
    image.paste(255, (0, 0, 112, 224))
    whole = ImageSettings(224, 1.0, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    brightness, contrast, _, _ = measure(read(encode(image), whole))
    assert brightness == pytest.approx(127.5, abs=2)
    assert contrast == pytest.approx(127.5, abs=2)


@pytest.mark.parametrize("side", [1, 40, 57, 224, 331])
def test_networks_of_any_size_are_measured(side: int) -> None:
    settings = ImageSettings(side, 1.0, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    found = measure(read(encode(Image.new("RGB", (90, 60), (50, 50, 50))), settings))
    assert found == pytest.approx((50, 0, 60, 1.5), abs=0.01)


def test_the_size_is_that_of_the_file_although_it_is_decoded_smaller() -> None:
    large = Image.new("RGB", (4510, 3000), "grey")
    assert measure(read(encode(large, "JPEG"), SETTINGS))[2:] == (3000, pytest.approx(1.503, 0.01))


def test_the_aspect_is_that_of_the_upright_photograph() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    lying = Image.new("RGB", (400, 200), "grey")
    assert measure(read(encode(lying, exif=exif), SETTINGS))[2:] == (200, 0.5)
    assert measure(read(encode(lying), SETTINGS))[2:] == (200, 2)
