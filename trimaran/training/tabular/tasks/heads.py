"""The ends of networks: a loss to fit by, and the module that is served.

A network gives logits `[batch, outputs]`, or `[members, batch, outputs]` while it is fitted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from trimaran.system.errors import TrimaranError

__all__ = [
    "NO_OUTCOMES",
    "BinaryHead",
    "ClassHead",
    "ClassProbabilities",
    "Head",
    "IntervalRegressor",
    "NumberHead",
    "ThresholdClassifier",
]

NO_OUTCOMES = "imbalance is between outcomes, and the target is a number; train without --imbalance"
"""Why a target that is a number cannot be balanced."""


class Head(Protocol):
    """What a network's logits mean."""

    outputs: int
    """How many logits a row has."""
    fitted: Mapping[str, float]
    """What was found on the training part and is needed to serve, by name."""

    def labels(self, target: npt.NDArray[Any]) -> Tensor:
        """A target as the loss takes it, `[rows]`."""
        ...

    def balance(self, labels: Tensor) -> Tensor:
        """With these weights in the loss every outcome counts equally."""
        ...

    def row_weights(self, labels: Tensor) -> Sequence[float]:
        """How much more often to draw each row, so that outcomes are equally frequent."""
        ...

    def loss(
        self, logits: Tensor, labels: Tensor, weight: Tensor | None, reduction: str = "mean"
    ) -> Tensor:
        """The loss of all rows and members."""
        ...

    def predictions(self, logits: Tensor) -> Tensor:
        """Logits `[batch, outputs]` to what is predicted."""
        ...


class BinaryHead:
    """One logit, whose sigmoid is the probability of a positive outcome, `[batch]`."""

    outputs = 1
    fitted: Mapping[str, float] = {}

    def labels(self, target: npt.NDArray[np.bool_]) -> Tensor:
        """1 and 0, float32."""
        return torch.tensor(target, dtype=torch.float32)

    def balance(self, labels: Tensor) -> Tensor:
        """Negatives per positive."""
        positives = float(labels.sum())
        return torch.tensor((len(labels) - positives) / positives if positives else 1.0)

    def row_weights(self, labels: Tensor) -> Sequence[float]:
        """Positive rows by `balance`."""
        weights: list[float] = torch.where(labels > 0, self.balance(labels), 1.0).tolist()
        return weights

    def loss(
        self, logits: Tensor, labels: Tensor, weight: Tensor | None, reduction: str = "mean"
    ) -> Tensor:
        """The log loss, in nats."""
        flat = logits.squeeze(-1)
        return functional.binary_cross_entropy_with_logits(
            flat, labels.expand_as(flat), pos_weight=weight, reduction=reduction
        )

    def predictions(self, logits: Tensor) -> Tensor:
        """The probabilities, `[batch]`."""
        return torch.sigmoid(logits).squeeze(-1)


class ClassHead:
    """A logit for each class, whose softmax is the class's probability, `[batch, classes]`."""

    fitted: Mapping[str, float] = {}

    def __init__(self, classes: int) -> None:
        self.outputs = classes

    def labels(self, target: npt.NDArray[np.int64]) -> Tensor:
        """The classes' numbers, int64."""
        return torch.tensor(target, dtype=torch.long)

    def balance(self, labels: Tensor) -> Tensor:
        """The mean rows of a class per row of each, `[classes]`."""
        rows = torch.bincount(labels, minlength=self.outputs).clamp_min(1)
        return len(labels) / (self.outputs * rows.float())

    def row_weights(self, labels: Tensor) -> Sequence[float]:
        """By `balance` of each row's class."""
        weights: list[float] = self.balance(labels)[labels].tolist()
        return weights

    def loss(
        self, logits: Tensor, labels: Tensor, weight: Tensor | None, reduction: str = "mean"
    ) -> Tensor:
        """The log loss, in nats."""
        flat = logits.reshape(-1, self.outputs)
        every = labels.repeat(len(flat) // len(labels))
        return functional.cross_entropy(flat, every, weight=weight, reduction=reduction)

    def predictions(self, logits: Tensor) -> Tensor:
        """The probabilities, `[batch, classes]`."""
        return torch.softmax(logits, dim=-1)


class NumberHead:
    """One output, in standard deviations from the mean of the training part's numbers."""

    outputs = 1

    def __init__(self, mean: float, sd: float) -> None:
        self.mean, self.sd = mean, sd
        self.fitted: Mapping[str, float] = {"mean": mean, "sd": sd}

    def labels(self, target: npt.NDArray[np.float64]) -> Tensor:
        """The standardised numbers, float32."""
        return torch.tensor((target - self.mean) / self.sd, dtype=torch.float32)

    def balance(self, labels: Tensor) -> Tensor:
        """Raises `TrimaranError`."""
        raise TrimaranError(NO_OUTCOMES)

    def row_weights(self, labels: Tensor) -> Sequence[float]:
        """Raises `TrimaranError`."""
        return [float(self.balance(labels))]

    def loss(
        self, logits: Tensor, labels: Tensor, weight: Tensor | None, reduction: str = "mean"
    ) -> Tensor:
        """The squared error, in variances of the training part."""
        del weight
        flat = logits.squeeze(-1)
        return functional.mse_loss(flat, labels.expand_as(flat), reduction=reduction)

    def predictions(self, logits: Tensor) -> Tensor:
        """The numbers in their own unit, `[batch]`."""
        return logits.squeeze(-1) * self.sd + self.mean


class ThresholdClassifier(nn.Module):
    """The module that is served: a network's logit as a probability, and its decision."""

    threshold: Tensor

    def __init__(self, network: nn.Module, threshold: float) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("threshold", torch.tensor(threshold, dtype=torch.float32))

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """float32 `[batch, columns]` to the probability, float32, and the prediction, bool.

        Both are `[batch, 1]`.
        """
        # The sigmoid of ONNX Runtime is off by 1e-7, which is much of a rare outcome's probability.
        probability = 1.0 / (1.0 + torch.exp(-self.network(features)))
        return probability, probability >= self.threshold


class ClassProbabilities(nn.Module):
    """The module that is served: the classes' probabilities, and the most probable class."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """float32 `[batch, columns]` to float32 `[batch, classes]` and int64 `[batch, 1]`."""
        probability = torch.softmax(self.network(features), dim=1)
        return probability, torch.argmax(probability, dim=1, keepdim=True)


class IntervalRegressor(nn.Module):
    """The module that is served: a number in its own unit, and the bounds of its interval."""

    mean: Tensor
    sd: Tensor
    margin: Tensor

    def __init__(self, network: nn.Module, mean: float, sd: float, margin: float) -> None:
        super().__init__()
        self.network = network
        for name, value in (("mean", mean), ("sd", sd), ("margin", margin)):
            self.register_buffer(name, torch.tensor(value, dtype=torch.float32))

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """float32 `[batch, columns]` to the value, its lower and its upper bound, `[batch, 1]`."""
        value = self.network(features) * self.sd + self.mean
        return value, value - self.margin, value + self.margin
