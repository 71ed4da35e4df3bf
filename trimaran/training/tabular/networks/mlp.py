"""Small networks side by side in one: their mean is better than each.

Y. Gorishniy et al., "TabM: Advancing Tabular Deep Learning with Parameter-Efficient Ensembling"
(2025); here the members share no weights, which are few.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from trimaran.training.tabular.networks.edges import StepEncoding

__all__ = ["Mlp"]


class Mlp(nn.Module):
    """`members` perceptrons of `depth` hidden layers on the same encoding."""

    def __init__(
        self, encoding: StepEncoding, members: int, hidden: int, depth: int, dropout: float
    ) -> None:
        super().__init__()
        self.encoding = encoding
        sizes = [encoding.out_features] + [hidden] * depth
        self.layers = nn.ModuleList(_Linears(members, *pair) for pair in pairwise(sizes))
        self.head = _Linears(members, hidden, 1)
        self.dropout = nn.Dropout(dropout)

    def members(self, features: Tensor) -> Tensor:
        """float32 `[batch, columns]` to each member's logit `[members, batch]`."""
        hidden = self.encoding(features).unsqueeze(0)
        for layer in self.layers:
            hidden = self.dropout(torch.relu(layer(hidden)))
        return self.head(hidden).squeeze(-1)

    def forward(self, features: Tensor) -> Tensor:
        """float32 `[batch, columns]` to the mean logit `[batch]`."""
        return self.members(features).mean(dim=0)


class _Linears(nn.Module):
    """Independent linear maps in one product: `[members or 1, batch, inputs]` to outputs."""

    def __init__(self, members: int, inputs: int, outputs: int) -> None:
        super().__init__()
        bound = 1.0 / math.sqrt(inputs)
        self.weight = nn.Parameter(torch.empty(members, inputs, outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(members, 1, outputs).uniform_(-bound, bound))

    def forward(self, values: Tensor) -> Tensor:
        return torch.matmul(values, self.weight) + self.bias
