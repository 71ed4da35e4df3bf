"""A model of `transformers` from its configuration alone: nothing is downloaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from exporters.spec import Axis, ModelSpec
from proofs.architectures.architecture import randomise

__all__ = ["VOCABULARY", "Sampler", "describe", "masks", "network", "tokens"]

VOCABULARY = 99
"""How many tokens the small models know; the last few are never drawn."""

Sampler = Callable[[int, torch.Generator, Mapping[str, int]], Mapping[str, Tensor]]
"""Rows, random numbers and the lengths of dynamic axes to tensors by input name."""


def network(model: str, **values: Any) -> torch.nn.Module:
    """`transformers.<model>` with random weights; `values` go into its configuration."""
    import transformers  # which takes seconds, and most trials need none of it

    torch.manual_seed(0)
    made = getattr(transformers, model)
    return randomise(made(made.config_class(**values)))


def describe(
    name: str,
    module: torch.nn.Module,
    sampler: Sampler,
    outputs: Sequence[str],
    axes: Mapping[str, Mapping[int, Axis]] | None = None,
    examples: Mapping[str, int] | None = None,
) -> ModelSpec:
    """The description: inputs of `sampler`, at the lengths `examples` in the examples."""
    usual = dict(examples or {})

    def samples(
        rows: int, seed: int, lengths: Mapping[str, int] | None = None
    ) -> Mapping[str, Tensor]:
        return sampler(rows, torch.Generator().manual_seed(seed), {**usual, **(lengths or {})})

    return ModelSpec(
        name=name,
        module=module,
        example_inputs=samples(2, 0),
        output_names=outputs,
        dynamic_axes=axes or {},
        samples=samples,
    )


def tokens(rows: int, length: int, generator: torch.Generator) -> Tensor:
    """Token ids, int64 `[rows, length]`, none of them a special one."""
    return torch.randint(5, VOCABULARY - 9, (rows, length), generator=generator)


def masks(rows: int, length: int, generator: torch.Generator) -> Tensor:
    """Which tokens are there, int64 `[rows, length]`: ones, then zeros where a row is shorter."""
    ends = torch.randint(1, length + 1, (rows, 1), generator=generator)
    return (torch.arange(length) < ends).long()
