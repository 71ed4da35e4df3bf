from __future__ import annotations

import io

import pytest
from PIL import Image

from trimaran.training.image_data import photographs


@pytest.fixture(scope="module")
def cat() -> Image.Image:
    return Image.open(io.BytesIO(photographs()["chelsea.png"])).convert("RGB")
