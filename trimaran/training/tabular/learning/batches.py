"""The order in which a fit sees its rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler, WeightedRandomSampler

__all__ = ["Rows", "batches", "positive_weight"]


@dataclass(frozen=True)
class Rows(Dataset[tuple[Tensor, Tensor]]):
    """Features, float32 `[rows, columns]`, and whether each row is positive, float32 `[rows]`."""

    features: Tensor
    target: Tensor

    @classmethod
    def of(cls, features: npt.NDArray[np.float32], target: npt.NDArray[np.bool_]) -> Rows:
        """Rows of arrays, copied."""
        return cls(torch.tensor(features), torch.tensor(target, dtype=torch.float32))

    def __len__(self) -> int:
        return len(self.target)

    def __getitem__(self, rows: int | Sequence[int]) -> tuple[Tensor, Tensor]:
        return self.features[rows], self.target[rows]


def batches(
    rows: Rows, batch_size: int, resample: bool, order: torch.Generator
) -> DataLoader[tuple[Tensor, Tensor]]:
    """One epoch's batches each time it is iterated, in an order that `order` alone decides.

    With `resample` rows are drawn with replacement, both outcomes as often. A last batch of a
    single row is left out, since a batch norm cannot learn from it.
    """
    sampler: RandomSampler | WeightedRandomSampler
    if resample:
        weight = positive_weight(rows.target)
        weights = torch.where(rows.target > 0, weight, 1.0).tolist()
        sampler = WeightedRandomSampler(weights, len(rows), generator=order)
    else:
        sampler = RandomSampler(rows, generator=order)
    whole = BatchSampler(sampler, batch_size, drop_last=len(rows) % batch_size == 1)
    # The loader draws a seed for worker processes at each epoch; there are none, and a generator
    # of its own keeps that draw out of the dropout's numbers.
    return DataLoader(rows, batch_size=None, sampler=whole, generator=torch.Generator())


def positive_weight(target: Tensor) -> float:
    """Negatives per positive: the weight that gives both outcomes the same say."""
    positives = float(target.sum())
    return (len(target) - positives) / positives if positives else 1.0
