"""A small convolutional classifier that is right by a wide margin, for tests of precision."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from exporters import ModelSpec

SIDE = 8


class Quadrants(nn.Module):
    """Which of an image's four quadrants is the bright one: `[batch, 3, 8, 8]` to `[batch, 4]`."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.smooth = nn.Conv2d(3, 16, 3, padding=1)
        nn.init.uniform_(self.smooth.weight, 0.0, 0.2)
        self.pool = nn.AvgPool2d(SIDE // 2)
        self.score = nn.Linear(4 * 16, 4)
        weight = torch.zeros(4, 16, 4)
        for quadrant in range(4):
            weight[quadrant, :, quadrant] = 0.3
        with torch.no_grad():
            self.score.weight.copy_(weight.flatten(1))

    def forward(self, image: Tensor) -> Tensor:
        return self.score(self.pool(torch.relu(self.smooth(image))).flatten(1))


def samples(batch_size: int, seed: int) -> dict[str, Tensor]:
    """Noise with one bright quadrant: float32 `[batch, 3, 8, 8]`."""
    generator = np.random.default_rng(seed)
    images = generator.uniform(0, 0.2, (batch_size, 3, SIDE, SIDE)).astype(np.float32)
    half = SIDE // 2
    for image, quadrant in zip(images, generator.integers(4, size=batch_size), strict=True):
        top, left = divmod(int(quadrant), 2)
        image[:, top * half : (top + 1) * half, left * half : (left + 1) * half] += 1
    return {"image": torch.from_numpy(images)}


def quadrants() -> ModelSpec:
    return ModelSpec(
        "quadrants",
        Quadrants(),
        samples(2, 0),
        ["logits"],
        samples=samples,
        labels={"logits": ["top left", "top right", "bottom left", "bottom right"]},
    )
