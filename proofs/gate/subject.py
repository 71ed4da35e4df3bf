"""What is made wrong: a small module, and inputs for it that are independent of the gate."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from exporters.spec import Axis, ModelSpec
from proofs.architectures.architecture import randomise

__all__ = ["Draw", "Subject"]

Draw = Callable[[np.random.Generator, int, Mapping[str, int]], dict[str, np.ndarray]]
"""Inputs as a client would send them: a generator, rows, and the length of each dynamic axis."""

_EXAMPLE_ROWS = 4


@dataclass(frozen=True)
class Subject:
    """A module with random weights, and where its inputs come from.

    `draw` makes both the example rows of its description and, with other random numbers, the fresh
    inputs that decide whether a wrong artifact matters. `lengths` are those of the example;
    `samples` says that the description gives the gate rows to try, as its examples do not do;
    `plain` that its example is what people write down in a hurry: ones, and flags all alike.
    """

    name: str
    build: Callable[[], nn.Module]
    draw: Draw
    outputs: tuple[str, ...]
    axes: Mapping[str, Mapping[int, Axis]]
    lengths: Mapping[str, int]
    samples: bool = False
    plain: bool = False

    def spec(self, seed: int) -> ModelSpec:
        """Its description, with the weights and the example of a seed."""
        torch.manual_seed(seed)
        examples = self._tensors(_EXAMPLE_ROWS, 1000 + seed)
        if self.plain:
            examples = {name: _plain(tensor) for name, tensor in examples.items()}
        return ModelSpec(
            self.name,
            randomise(self.build(), seed),
            examples,
            self.outputs,
            dynamic_axes=self.axes,
            samples=self._tensors if self.samples else None,
        )

    def _tensors(
        self, rows: int, seed: int, lengths: Mapping[str, int] | None = None
    ) -> dict[str, Tensor]:
        drawn = self.draw(np.random.default_rng(seed), rows, lengths or self.lengths)
        return {name: torch.from_numpy(array) for name, array in drawn.items()}


def _plain(example: Tensor) -> Tensor:
    if example.dtype == torch.bool:
        return torch.zeros_like(example)
    return torch.ones_like(example) if example.is_floating_point() else example
