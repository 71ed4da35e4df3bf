"""What is counted of photographs, against Pillow's own luminance of every pixel."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageStat

from trimaran.served.image_preprocess.decoding import ImageSettings, read
from trimaran.served.image_preprocess.measuring import measure
from trimaran.training.efficientnet_lite0 import SETTINGS
from trimaran.training.image_data import photographs


def encode(image: Image.Image, format: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


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
