"""Subjects that take images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from proofs.gate.subject import Subject

__all__ = ["image_subjects"]

_SQUARE: Mapping[str, int] = {}
_SIDES = {"image": {2: ("height", 8, 24, 4), 3: ("width", 8, 24, 4)}}


def image_subjects() -> Iterator[Subject]:
    """Convolutions with the norms and pools that are used with them."""
    yield Subject("cnn", _cnn, _image, ("logits",), {}, _SQUARE)
    yield Subject("depthwise_cnn", Depthwise, _image, ("logits",), {}, _SQUARE)
    yield Subject("residual_net", Residual, _image, ("probabilities",), {}, _SQUARE)
    yield Subject("autoencoder", _autoencoder, _image, ("rebuilt",), _SIDES, _sides(12, 16))
    yield Subject("group_norm_net", _group_norms, _image, ("logits",), _SIDES, _sides(16, 12))
    yield Subject("detector", Detector, _image, ("boxes", "scores"), {}, _SQUARE)
    yield Subject("photograph", Photograph, _photograph, ("logits",), {}, _SQUARE)


def _sides(height: int, width: int) -> dict[str, int]:
    return {"height": height, "width": width}


def _image(
    rng: np.random.Generator, rows: int, lengths: Mapping[str, int]
) -> dict[str, np.ndarray]:
    """Standardised images: smooth, of several brightnesses, with noise."""
    height, width = lengths.get("height", 12), lengths.get("width", 12)
    y, x = np.arange(height)[:, None] / 8, np.arange(width)[None, :] / 8
    waves = rng.uniform(-3, 3, (rows, 3, 1, 1)) * y + rng.uniform(-3, 3, (rows, 3, 1, 1)) * x
    image = np.sin(waves) * rng.uniform(0.3, 1.5, (rows, 3, 1, 1))
    image += rng.normal(0, 0.5, (rows, 1, 1, 1)) + rng.normal(0, 0.3, image.shape)
    return {"image": image.astype(np.float32)}


def _photograph(
    rng: np.random.Generator, rows: int, lengths: Mapping[str, int]
) -> dict[str, np.ndarray]:
    image = _image(rng, rows, {})["image"].transpose(0, 2, 3, 1) * 64 + 118
    return {"pixels": np.clip(np.rint(image), 0, 255).astype(np.uint8)}


def _cnn() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 12, 3, padding=1, bias=False), nn.BatchNorm2d(12), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(12, 5),
    )  # fmt: skip


class Depthwise(nn.Module):
    """MobileNetV3's block: depthwise, squeeze and excite, pointwise."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2, 1)
        self.depth = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.squeeze = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(8, 4, 1), nn.ReLU(), nn.Conv2d(4, 8, 1)
        )
        self.point = nn.Conv2d(8, 10, 1)
        self.head = nn.Linear(10, 4)

    def forward(self, image: Tensor) -> Tensor:
        x = functional.hardswish(self.stem(image))
        x = functional.relu6(self.depth(x))
        x = self.point(x * torch.sigmoid(self.squeeze(x)))
        return self.head(functional.avg_pool2d(x, 3).flatten(2).mean(2))


class Residual(nn.Module):
    """A residual block, and class probabilities."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, padding=1)
        self.norms = nn.ModuleList(nn.BatchNorm2d(6) for _ in range(2))
        self.convolutions = nn.ModuleList(nn.Conv2d(6, 6, 3, padding=1) for _ in range(2))
        self.head = nn.Linear(6, 4)

    def forward(self, image: Tensor) -> Tensor:
        x = self.stem(image)
        for norm, convolution in zip(self.norms, self.convolutions, strict=True):
            x = x + convolution(functional.leaky_relu(norm(x), 0.1))
        return self.head(x.amax((2, 3))).softmax(-1)


def _autoencoder() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 6, 4, 2, 1), nn.SiLU(), nn.Conv2d(6, 4, 4, 2, 1), nn.Tanh(),
        nn.ConvTranspose2d(4, 6, 4, 2, 1), nn.ELU(), nn.Upsample(scale_factor=2, mode="bilinear"),
        nn.Conv2d(6, 3, 3, padding=1), nn.Sigmoid(),
    )  # fmt: skip


def _group_norms() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.GroupNorm(2, 8), nn.GELU(), nn.AvgPool2d(2),
        nn.Conv2d(8, 8, 3, padding=1), nn.InstanceNorm2d(8, affine=True), nn.Mish(),
        nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(8, 3),
    )  # fmt: skip


class Detector(nn.Module):
    """Boxes and scores for each cell of a grid, from two scales."""

    grid: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.fine, self.coarse = nn.Conv2d(3, 6, 3, 2, 1), nn.Conv2d(6, 6, 3, 2, 1)
        self.head = nn.Conv2d(6, 4 + 3, 1)
        self.register_buffer("grid", torch.arange(6.0))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        fine = functional.relu(self.fine(image))
        coarse = functional.relu(self.coarse(fine))
        found = self.head(fine + functional.interpolate(coarse, scale_factor=2.0))
        found = found.permute(0, 2, 3, 1)
        centre = torch.stack(
            [found[..., 0].sigmoid() + self.grid, found[..., 1].sigmoid() + self.grid[:, None]], -1
        )
        boxes = torch.cat([centre, found[..., 2:4].exp()], -1)
        return boxes.flatten(1, 2), found[..., 4:].softmax(-1).flatten(1, 2)


class Photograph(nn.Module):
    """Bytes in, channels last: `[batch, 12, 12, 3]`, scaled inside."""

    mean: Tensor
    deviation: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.network = nn.Sequential(
            nn.Conv2d(3, 6, 3, 2), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(24, 4)
        )
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]))
        self.register_buffer("deviation", torch.tensor([0.229, 0.224, 0.225]))

    def forward(self, pixels: Tensor) -> Tensor:
        image = (pixels.float() / 255 - self.mean) / self.deviation
        return self.network(image.permute(0, 3, 1, 2))
