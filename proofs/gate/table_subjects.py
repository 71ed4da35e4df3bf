"""Subjects that take rows of a table, and those whose outputs are of an unusual size or type."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from proofs.gate.subject import Draw, Subject

__all__ = ["table_subjects"]

_SIZES = {"shop": 7, "colour": 11, "size": 4}


def table_subjects() -> Iterator[Subject]:
    """Dense layers with every usual activation and norm."""
    for name, build, draw in (
        ("mlp", _mlp, _numbers(np.float32)),
        ("categories", Categories, _columns),
        ("activations", _activations, _numbers(np.float32)),
        ("rms_norms", RmsNorms, _numbers(np.float32)),
        ("double_precision", _double, _numbers(np.float64)),
        ("small_outputs", lambda: Scaled(1e-5), _numbers(np.float32)),
        ("huge_outputs", lambda: Scaled(1e5), _numbers(np.float32)),
        ("mixer", Mixer, _sets),
        ("set_pooling", SetPooling, _masked_sets),
    ):
        yield _subject(name, build, draw)
    yield replace(_subject("factorisation", Factorisation, _categories), samples=True)


def _subject(name: str, build: Callable[[], nn.Module], draw: Draw) -> Subject:
    return Subject(name, build, draw, ("answer",), {}, {})


def _numbers(dtype: type) -> Draw:
    """Standardised columns, two of them skewed, one a flag."""

    def draw(
        rng: np.random.Generator, rows: int, lengths: Mapping[str, int]
    ) -> dict[str, np.ndarray]:
        x = rng.normal(0, 1, (rows, 10))
        x[:, 3:5] = np.exp(x[:, 3:5] * 0.7) - 1
        x[:, 9] = x[:, 9] > 0.4
        return {"numbers": x.astype(dtype)}

    return draw


def _categories(
    rng: np.random.Generator, rows: int, lengths: Mapping[str, int]
) -> dict[str, np.ndarray]:
    picked = np.stack([rng.integers(0, size, rows) for size in _SIZES.values()], axis=1)
    return {"categories": picked, **_numbers(np.float32)(rng, rows, lengths)}


def _columns(
    rng: np.random.Generator, rows: int, lengths: Mapping[str, int]
) -> dict[str, np.ndarray]:
    drawn = _categories(rng, rows, lengths)
    return {
        **dict(zip(_SIZES, drawn["categories"].T.copy(), strict=True)),
        "numbers": drawn["numbers"],
    }


def _sets(rng: np.random.Generator, rows: int, lengths: Mapping[str, int]) -> dict[str, np.ndarray]:
    items = rng.normal(0, 1, (rows, 6, 8)) + rng.normal(0, 0.5, (rows, 1, 8))
    return {"items": items.astype(np.float32)}


def _masked_sets(
    rng: np.random.Generator, rows: int, lengths: Mapping[str, int]
) -> dict[str, np.ndarray]:
    present = rng.random((rows, 6)) < 0.6
    present[:, 0] = True
    return {**_sets(rng, rows, lengths), "present": present}


def _mlp() -> nn.Module:
    return nn.Sequential(
        nn.Linear(10, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.1),
        nn.Linear(16, 16, bias=False), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 3),
    )  # fmt: skip


class Categories(nn.Module):
    """Embeddings and numbers, each a separate input: a probability."""

    def __init__(self) -> None:
        super().__init__()
        self.embeddings = nn.ModuleList(nn.Embedding(size, 4) for size in _SIZES.values())
        self.layers = nn.Sequential(nn.Linear(22, 16), nn.PReLU(), nn.Linear(16, 1))

    def forward(self, shop: Tensor, colour: Tensor, size: Tensor, numbers: Tensor) -> Tensor:
        columns = zip(self.embeddings, (shop, colour, size), strict=True)
        found = [table(column) for table, column in columns]
        return self.layers(torch.cat([*found, numbers], dim=1)).sigmoid()


def _activations() -> nn.Module:
    return nn.Sequential(
        nn.Linear(10, 10), nn.GELU(), nn.Linear(10, 10), nn.SiLU(), nn.Linear(10, 10),
        nn.Softplus(), nn.Linear(10, 10), nn.Tanh(), nn.Linear(10, 10), nn.Mish(),
        nn.Linear(10, 10), nn.GELU(approximate="tanh"), nn.Linear(10, 3),
    )  # fmt: skip


class RmsNorms(nn.Module):
    """LLaMA's feed-forward block, with its norm by the module and by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(10, eps=1e-5)
        self.gate, self.up = (nn.Linear(10, 16, bias=False) for _ in range(2))
        self.down, self.head = nn.Linear(16, 10, bias=False), nn.Linear(10, 4)
        self.scale = nn.Parameter(torch.ones(10))

    def forward(self, numbers: Tensor) -> Tensor:
        x = self.norm(numbers)
        x = numbers + self.down(functional.silu(self.gate(x)) * self.up(x))
        x = x * torch.rsqrt((x * x).mean(-1, keepdim=True) + 1e-4) * self.scale
        return self.head(x)


def _double() -> nn.Module:
    return nn.Sequential(
        nn.Linear(10, 12), nn.Tanh(), nn.Linear(12, 12), nn.ReLU(), nn.Linear(12, 3)
    ).double()


class Scaled(nn.Module):
    """A regression whose target is in units far from one."""

    def __init__(self, unit: float) -> None:
        super().__init__()
        self.unit = unit
        self.layers = nn.Sequential(
            nn.Linear(10, 16), nn.ReLU(), nn.LayerNorm(16), nn.Linear(16, 2)
        )

    def forward(self, numbers: Tensor) -> Tensor:
        return self.layers(numbers) * self.unit


class Mixer(nn.Module):
    """MLP-Mixer: across items, then across channels."""

    def __init__(self) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(8) for _ in range(2))
        self.across, self.within = nn.Linear(6, 6), nn.Linear(8, 8)
        self.head = nn.Linear(8, 3)

    def forward(self, items: Tensor) -> Tensor:
        first, second = self.norms
        x = items + functional.gelu(self.across(first(items).mT)).mT
        x = x + functional.gelu(self.within(second(x)))
        return self.head(x.mean(1)).softmax(-1)


class Factorisation(nn.Module):
    """A factorisation machine: every pair of fields, whose columns differ in range."""

    def __init__(self) -> None:
        super().__init__()
        self.embeddings = nn.ModuleList(nn.Embedding(size, 4) for size in _SIZES.values())
        self.numbers = nn.Linear(10, 4)
        self.weights = nn.Linear(10, 1)

    def forward(self, categories: Tensor, numbers: Tensor) -> Tensor:
        found = [table(categories[:, i]) for i, table in enumerate(self.embeddings)]
        x = torch.stack([*found, self.numbers(numbers)], dim=1)
        pairs = 0.5 * (x.sum(1).square() - x.square().sum(1)).sum(1, keepdim=True)
        return self.weights(numbers) + pairs


class SetPooling(nn.Module):
    """Attention over the items of a set that are present."""

    def __init__(self) -> None:
        super().__init__()
        self.score, self.value, self.head = nn.Linear(8, 1), nn.Linear(8, 6), nn.Linear(6, 2)

    def forward(self, items: Tensor, present: Tensor) -> Tensor:
        scores = self.score(items).squeeze(-1).masked_fill(~present, -1e9)
        pooled = torch.einsum("bi,bic->bc", scores.softmax(1), self.value(items))
        return self.head(functional.relu(pooled))
