"""The networks by name, and the module that is served."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from trimaran.training.tabular.networks.edges import Edges, StepEncoding
from trimaran.training.tabular.networks.hyperparameters import Hyperparameters
from trimaran.training.tabular.networks.mlp import Mlp
from trimaran.training.tabular.networks.tabnet import TabNet

__all__ = ["Network", "ThresholdClassifier", "build_network"]

Network = Mlp | TabNet


def build_network(hyper: Hyperparameters, edges: Edges) -> Network:
    """A network with fresh weights of torch's own random numbers; an edge array per column."""
    return _BUILDERS[hyper.network](hyper, StepEncoding(edges, hyper.step_width))


def _mlp(hyper: Hyperparameters, encoding: StepEncoding) -> Network:
    return Mlp(encoding, hyper.members, hyper.hidden, hyper.depth, hyper.dropout)


def _tabnet(hyper: Hyperparameters, encoding: StepEncoding) -> Network:
    return TabNet(encoding, hyper.steps, hyper.units, hyper.relaxation, hyper.dropout)


_BUILDERS: dict[str, Callable[[Hyperparameters, StepEncoding], Network]] = {
    "mlp": _mlp,
    "tabnet": _tabnet,
}


class ThresholdClassifier(nn.Module):
    """A network whose logit becomes a probability, and a decision at a threshold."""

    threshold: Tensor

    def __init__(self, network: nn.Module, threshold: float) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("threshold", torch.tensor(threshold, dtype=torch.float32))

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """float32 `[batch, columns]` to the probability, float32, and the prediction, bool.

        Both are `[batch, 1]`.
        """
        probability = torch.sigmoid(self.network(features)).unsqueeze(1)
        return probability, probability >= self.threshold
