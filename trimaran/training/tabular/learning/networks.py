"""The networks: an encoding of the features, an ensemble of perceptrons, and a TabNet.

The encoding follows Y. Gorishniy et al., "On Embeddings for Numerical Features in Tabular Deep
Learning" (2022), which encodes each number piecewise linearly between edges that a decision tree of
that column finds. Here one tree sees all columns, so it also finds an edge that only matters given
another column, and each edge is a narrow ramp.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from trimaran.training.tabular.learning.hyperparameters import Hyperparameters

__all__ = [
    "Edges",
    "Mlp",
    "Network",
    "StepEncoding",
    "TabNet",
    "build_network",
    "edge_columns",
    "tree_edges",
]

Edges = Sequence[npt.NDArray[np.float64]]


def tree_edges(
    features: npt.NDArray[np.float32],
    target: npt.NDArray[Any],
    tree: Any,
) -> Edges:
    """The cuts of one decision tree, float64, ascending, for each column of `features`.

    `features` is `[rows, columns]`, `target` `[rows]`, both of the training part alone. `tree` is
    one of scikit-learn's, unfitted.
    """
    cuts = tree.fit(features, target).tree_
    inner = cuts.children_left >= 0
    return [
        np.unique(cuts.threshold[inner & (cuts.feature == column)])
        for column in range(features.shape[1])
    ]


def edge_columns(edges: Edges) -> list[int]:
    """The column of each edge."""
    return [column for column, of_column in enumerate(edges) for _ in of_column]


class StepEncoding(nn.Module):
    """Features `[batch, columns]` to features and steps `[batch, columns + edges]`.

    A step rises from -1 to 1 over `width` around its edge.
    """

    column: Tensor
    edge: Tensor

    def __init__(self, edges: Edges, width: float) -> None:
        super().__init__()
        columns = edge_columns(edges)
        self.register_buffer("column", torch.tensor(columns, dtype=torch.long))
        self.register_buffer("edge", torch.tensor(np.concatenate(edges), dtype=torch.float32))
        self.steepness = 1.0 / width
        self.out_features = len(edges) + len(columns)

    def forward(self, features: Tensor) -> Tensor:
        """float32 in and out."""
        above = (torch.index_select(features, 1, self.column) - self.edge) * self.steepness
        step = torch.clamp(above + 0.5, 0.0, 1.0)
        return torch.cat([features, 2.0 * step - 1.0], dim=1)


class Mlp(nn.Module):
    """`members` perceptrons with `depth` hidden layers each, whose logits are averaged.

    Y. Gorishniy et al., "TabM: Advancing Tabular Deep Learning with Parameter-Efficient Ensembling"
    (2025); here the members share no weights, which are few.
    """

    def __init__(
        self,
        encoding: StepEncoding,
        outputs: int,
        members: int,
        hidden: int,
        depth: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.encoding = encoding
        sizes = [encoding.out_features] + [hidden] * depth
        self.layers = nn.ModuleList(_Linears(members, *pair) for pair in pairwise(sizes))
        self.head = _Linears(members, hidden, outputs)
        self.dropout = nn.Dropout(dropout)

    def members(self, features: Tensor) -> Tensor:
        """float32 `[batch, columns]` to each member's logits `[members, batch, outputs]`."""
        hidden = self.encoding(features).unsqueeze(0)
        for layer in self.layers:
            hidden = self.dropout(torch.relu(layer(hidden)))
        return self.head(hidden)

    def forward(self, features: Tensor) -> Tensor:
        """float32 `[batch, columns]` to the mean logits `[batch, outputs]`."""
        return self.members(features).mean(dim=0)


class _Linears(nn.Module):
    """A linear map per member, in one product: `[members or 1, batch, inputs]` to outputs."""

    def __init__(self, members: int, inputs: int, outputs: int) -> None:
        super().__init__()
        bound = 1.0 / math.sqrt(inputs)
        self.weight = nn.Parameter(torch.empty(members, inputs, outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(members, 1, outputs).uniform_(-bound, bound))

    def forward(self, values: Tensor) -> Tensor:
        return torch.matmul(values, self.weight) + self.bias


_LEAST_PRIOR = 1e-6


class TabNet(nn.Module):
    """Attention to a few columns at a time, in `steps` decisions of `units` numbers each.

    S. Arik and T. Pfister, "TabNet: Attentive Interpretable Tabular Learning" (2019): feature
    transformers of gated linear units, masks with a prior that fades where a column was used, and
    the sum of the steps' decisions. Here the masks are a softmax instead of sparsemax, which sorts.
    """

    def __init__(
        self,
        encoding: StepEncoding,
        outputs: int,
        steps: int,
        units: int,
        relaxation: float,
        dropout: float,
    ) -> None:
        super().__init__()
        self.encoding = encoding
        self.columns = encoding.out_features
        self.units, self.relaxation = units, relaxation
        self.norm = nn.BatchNorm1d(self.columns)
        shared = nn.Linear(self.columns, 4 * units)
        self.shared = shared
        own = [nn.Linear(2 * units, 4 * units) for _ in range(steps + 1)]
        self.transformers = nn.ModuleList(_Transformer(units, layer) for layer in own)
        self.attention = nn.ModuleList(nn.Linear(units, self.columns) for _ in range(steps))
        self.attention_norm = nn.ModuleList(nn.BatchNorm1d(self.columns) for _ in range(steps))
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(units, outputs)

    def forward(self, features: Tensor) -> Tensor:
        """float32 `[batch, columns]` to the logits `[batch, outputs]`."""
        encoded = self.norm(self.encoding(features))
        first, *others = self.transformers
        attended = first(self.shared(encoded))[:, self.units :]
        prior = torch.ones_like(encoded)
        decided = torch.zeros_like(attended)
        scale = math.sqrt(self.columns)
        for attend, norm, transform in zip(
            self.attention, self.attention_norm, others, strict=True
        ):
            wished = norm(attend(attended)) + torch.log(prior.clamp_min(_LEAST_PRIOR))
            mask = torch.softmax(wished, dim=1)
            prior = prior * (self.relaxation - mask)
            both = transform(self.shared(encoded * mask * scale))
            decided = decided + torch.relu(both[:, : self.units])
            attended = both[:, self.units :]
        return self.head(self.dropout(decided))

    def members(self, features: Tensor) -> Tensor:
        """float32 `[batch, columns]` to the logits of its one member, `[1, batch, outputs]`."""
        return self.forward(features).unsqueeze(0)


class _Transformer(nn.Module):
    """The shared layer's output `[batch, 4 * units]` to `[batch, 2 * units]`."""

    def __init__(self, units: int, own: nn.Linear) -> None:
        super().__init__()
        self.own = own
        self.shared_norm = nn.BatchNorm1d(4 * units)
        self.own_norm = nn.BatchNorm1d(4 * units)

    def forward(self, shared: Tensor) -> Tensor:
        gated = functional.glu(self.shared_norm(shared), dim=1)
        return (gated + functional.glu(self.own_norm(self.own(gated)), dim=1)) * math.sqrt(0.5)


Network = Mlp | TabNet


def build_network(hyper: Hyperparameters, edges: Edges, outputs: int) -> Network:
    """A network with weights drawn from torch's random numbers; `edges` has an array per column."""
    return _BUILDERS[hyper.network](hyper, StepEncoding(edges, hyper.step_width), outputs)


def _mlp(hyper: Hyperparameters, encoding: StepEncoding, outputs: int) -> Network:
    return Mlp(encoding, outputs, hyper.members, hyper.hidden, hyper.depth, hyper.dropout)


def _tabnet(hyper: Hyperparameters, encoding: StepEncoding, outputs: int) -> Network:
    return TabNet(encoding, outputs, hyper.steps, hyper.units, hyper.relaxation, hyper.dropout)


_BUILDERS: dict[str, Callable[[Hyperparameters, StepEncoding, int], Network]] = {
    "mlp": _mlp,
    "tabnet": _tabnet,
}
