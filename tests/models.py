"""Small models for the tests, as a user would describe them to `trimaran export`."""

from __future__ import annotations

import os

import numpy as np
import torch
from torch import Tensor, nn

from exporters import ModelSpec


class Linear(nn.Module):
    """Rows of eight values to rows of four."""

    def __init__(self, seed: int = 0, features: int = 8) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.layer = nn.Linear(features, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)


class Tokens(nn.Module):
    """Several inputs and outputs of several types, with a sequence of any length."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embedding = nn.Embedding(50, 6)

    def forward(self, tokens: Tensor, mask: Tensor, scale: Tensor) -> dict[str, Tensor]:
        hidden = self.embedding(tokens) * mask.unsqueeze(-1)
        return {
            "hidden": hidden * scale[:, None, None].to(hidden.dtype),
            "count": mask.sum(1),
            "any": mask.any(1),
        }


class Flip(nn.Module):
    """An operation for booleans."""

    def forward(self, x: Tensor) -> Tensor:
        return ~x


class MixesRows(nn.Module):
    """Subtracts the batch's mean, so that a row depends on the rows next to it."""

    def forward(self, x: Tensor) -> Tensor:
        return x - x.mean(0, keepdim=True)


class Branches(nn.Module):
    """Control flow on values, which a trace loses and a script keeps."""

    def forward(self, x: Tensor) -> Tensor:
        if bool(x.sum() > 1e6):
            return x * 2
        rows = []
        for index in range(x.size(0)):
            rows.append(x[index] + 1)  # noqa: PERF401 - TorchScript wants it plain
        return torch.stack(rows)


class Unexportable(nn.Module):
    """Calls Python that no exporter can follow."""

    def forward(self, x: Tensor) -> Tensor:
        return x * len(open("/proc/self/stat").read().split(str(float(x.sum()))))  # noqa: PTH123


def linear() -> ModelSpec:
    return ModelSpec(
        "linear", Linear(), {"x": torch.randn(2, 8)}, ["y"], labels={"y": ["a", "b", "c", "d"]}
    )


def linear_other_weights() -> ModelSpec:
    return ModelSpec("linear", Linear(seed=1), {"x": torch.randn(2, 8)}, ["y"])


def linear_other_interface() -> ModelSpec:
    return ModelSpec("linear", Linear(features=9), {"x": torch.randn(2, 9)}, ["y"])


def tokens() -> ModelSpec:
    return ModelSpec(
        "tokens",
        Tokens(),
        {
            "tokens": torch.randint(0, 50, (2, 7)),
            "mask": torch.rand(2, 7) > 0.5,
            "scale": torch.tensor([1, 2], dtype=torch.int8),
        },
        ["hidden", "count", "any"],
        dynamic_axes={"tokens": {1: ("sequence", 1, 64)}, "mask": {1: ("sequence", 1, 64)}},
    )


def mixes_rows() -> ModelSpec:
    return ModelSpec("mixes_rows", MixesRows(), {"x": torch.randn(2, 8)}, ["y"])


def branches() -> ModelSpec:
    return ModelSpec("branches", Branches(), {"x": torch.randn(2, 8)}, ["y"])


def unexportable() -> ModelSpec:
    return ModelSpec("unexportable", Unexportable(), {"x": torch.randn(2, 8)}, ["y"])


def not_a_spec() -> str:
    return "a string"


def fails() -> ModelSpec:
    raise RuntimeError("the weights are missing")


class ScaledByLength(nn.Module):
    """Takes a length for a constant, which neither tracing nor scripting can follow."""

    def forward(self, x: Tensor) -> Tensor:
        return x * float(np.sqrt(x.shape[1]))


class TableOfSizes(nn.Module):
    """Looks the batch size up in a table, which no exporter can follow."""

    def __init__(self) -> None:
        super().__init__()
        self.factors = dict.fromkeys(range(100), 2.0)
        self.key = lambda size: size

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factors[self.key(x.shape[0])]


class Transcendental(nn.Module):
    """Functions that each runtime approximates in its own way."""

    def forward(self, x: Tensor) -> Tensor:
        return (x.tanh() * x.exp()).erf()


def linear_seeded() -> ModelSpec:
    """`linear` with the weights that the environment chooses."""
    seed = int(os.environ["TRIMARAN_TEST_SEED"])
    return ModelSpec("linear", Linear(seed), {"x": torch.randn(2, 8)}, ["y"])


def scaled_by_length() -> ModelSpec:
    return ModelSpec(
        "scaled",
        ScaledByLength(),
        {"x": torch.ones(2, 7)},
        ["y"],
        dynamic_axes={"x": {1: ("length", 1, 16)}},
    )


def table_of_sizes() -> ModelSpec:
    return ModelSpec("table_of_sizes", TableOfSizes(), {"x": torch.randn(2, 8)}, ["y"])


def transcendental() -> ModelSpec:
    torch.manual_seed(0)
    return ModelSpec(
        "transcendental",
        Transcendental(),
        {"x": torch.randn(2, 64)},
        ["y"],
        tolerances={"y": (0.0, 0.0)},
    )
