"""The model. `trimaran export` compares what it exports with this module, and publishes it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from trimaran import ModelSpec


class Network(nn.Module):
    """Features, float32 `[batch, 4]`, to the probabilities of three classes, `[batch, 3]`."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Linear(4, 16)
        self.classes = nn.Linear(16, 3)

    def forward(self, features: Tensor) -> Tensor:
        return self.classes(self.hidden(features).relu()).softmax(dim=1)


def network() -> ModelSpec:
    """What `trimaran export` exports, as `my_project_network_onnx`."""
    torch.manual_seed(0)
    module = Network()  # with random weights; load yours here
    return ModelSpec(
        name="my_project_network",
        module=module.eval(),
        example_inputs={"features": torch.randn(2, 4)},  # the first axis is the batch
        output_names=["probabilities"],
    )
