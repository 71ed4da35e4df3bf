"""A network that people use, and the expected outcome in each format."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import nn

from exporters.spec import ModelSpec

__all__ = ["Architecture", "randomise"]


@dataclass(frozen=True)
class Architecture:
    """A network, small and with random weights.

    `build` makes a new description. `refused` has, for each format that cannot carry it, words
    that the refusal must contain; in every other format it must pass the parity gate.
    """

    name: str
    family: str
    build: Callable[[], ModelSpec]
    refused: Mapping[str, str] = field(default_factory=dict)


def randomise(module: nn.Module, seed: int = 0) -> nn.Module:
    """Give every weight a size that keeps signals alive, so that errors show in the outputs.

    Fresh weights are often so small that a tiny network answers next to nothing, whatever it
    computes, and fresh norms do nothing at all.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in [*module.named_parameters(), *module.named_buffers()]:
            if not value.is_floating_point() or not value.numel():
                continue
            noise = torch.randn(value.shape, generator=generator, dtype=torch.float64)
            if name.endswith("running_var"):
                value.copy_(noise.abs() * 0.3 + 0.7)
            elif name.endswith("running_mean"):
                value.copy_(noise * 0.1)
            elif isinstance(value, nn.Parameter) and value.ndim > 1:
                value.copy_(noise / value[0].numel() ** 0.5)
            elif isinstance(value, nn.Parameter):
                value.add_((noise * 0.1).to(value.dtype))
    return module.eval()
