"""EfficientNet-Lite0: the network of the TensorFlow reference, as a `torch.nn.Module`.

Architecture and constants: `efficientnet/lite/efficientnet_lite_builder.py` of the TensorFlow TPU
models (https://github.com/tensorflow/tpu). No squeeze-and-excitation, ReLU6 throughout, and
TensorFlow's "SAME" padding, which puts the odd pixel at the bottom and the right.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from torch import Tensor, nn
from torch.nn import functional

__all__ = ["IMAGE_SIZE", "EfficientNetLite0", "rename_checkpoint"]

IMAGE_SIZE = 224
"""Height and width in pixels that the weights were trained at."""

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
        features = self.head(self.blocks(self.stem(image)))
        return self.classifier(self.dropout(features.mean(dim=(2, 3))))


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
