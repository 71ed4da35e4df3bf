"""A network that attends to a few columns at a time, in steps.

S. Arik and T. Pfister, "TabNet: Attentive Interpretable Tabular Learning" (2019): feature
transformers of gated linear units, masks with a prior that wears off where a column was used, and
the sum of the steps' decisions. Softmax stands where the paper has sparsemax, which sorts.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from trimaran.training.tabular.networks.edges import StepEncoding

__all__ = ["TabNet"]

_LEAST_PRIOR = 1e-6


class TabNet(nn.Module):
    """`steps` decisions of `units` numbers each."""

    def __init__(
        self, encoding: StepEncoding, steps: int, units: int, relaxation: float, dropout: float
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
        self.head = nn.Linear(units, 1)

    def forward(self, features: Tensor) -> Tensor:
        """float32 `[batch, columns]` to the logit `[batch]`."""
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
        return self.head(self.dropout(decided)).squeeze(-1)

    def members(self, features: Tensor) -> Tensor:
        """float32 `[batch, columns]` to the logit as of one member, `[1, batch]`."""
        return self.forward(features).unsqueeze(0)


class _Transformer(nn.Module):
    """What the shared layer gives, `[batch, 4 * units]`, to `[batch, 2 * units]`."""

    def __init__(self, units: int, own: nn.Linear) -> None:
        super().__init__()
        self.own = own
        self.shared_norm = nn.BatchNorm1d(4 * units)
        self.own_norm = nn.BatchNorm1d(4 * units)

    def forward(self, shared: Tensor) -> Tensor:
        gated = functional.glu(self.shared_norm(shared), dim=1)
        return (gated + functional.glu(self.own_norm(self.own(gated)), dim=1)) * math.sqrt(0.5)
