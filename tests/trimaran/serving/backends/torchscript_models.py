"""Small TorchScript modules, and the configurations that they are served under."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from tests.trimaran.serving.hosting import Model, tensor

BATCH_WHEN_FULL = "dynamic_batching { max_queue_delay_microseconds: 20000000 }\n"
"""Waiting requests go off together as soon as they fill `max_batch_size`."""


WITHOUT_EFFECT = (
    "ENABLE_WEIGHT_SHARING",
    "ENABLE_CACHE_CLEANING",
    "DISABLE_CUDNN",
    "ENABLE_NVFUSER",
)


TYPES = {
    "FP32": np.float32,
    "FP64": np.float64,
    "FP16": np.float16,
    "INT64": np.int64,
    "INT32": np.int32,
    "INT16": np.int16,
    "INT8": np.int8,
    "UINT8": np.uint8,
    "BOOL": np.bool_,
}


class Difference(nn.Module):
    """Two arguments and two results, of which no two may be mistaken for one another."""

    def forward(self, left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
        return left - right, left * 10


class EveryType(nn.Module):
    def forward(
        self,
        a: Tensor,
        b: Tensor,
        c: Tensor,
        d: Tensor,
        e: Tensor,
        f: Tensor,
        g: Tensor,
        h: Tensor,
        i: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
        return a, b, c, d, e, f, g, h, i


class FromDictionary(nn.Module):
    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        return inputs["left"] - inputs["right"]


class Greeting(nn.Module):
    def forward(self, names: list[str]) -> tuple[list[str], Tensor]:
        return ["hello " + name for name in names], torch.tensor([[len(n)] for n in names])


class Lookup(nn.Module):
    """`[batch]` indices into three rows; also, in every row, how many rows the call had."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding.from_pretrained(torch.arange(6.0).reshape(3, 2))

    def forward(self, index: Tensor) -> tuple[Tensor, Tensor]:
        return self.table(index), torch.full([index.size(0), 1], index.size(0))


class State(nn.Module):
    """Whether it runs in inference mode, with gradients, and as if it were being trained."""

    def forward(self, x: Tensor) -> Tensor:
        doubled = x * 2
        return torch.tensor([doubled.is_inference(), torch.is_grad_enabled(), self.training])


class Twice(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * 2


class Transposed(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.transpose(1, 2)


def scripted(module: nn.Module) -> bytes:
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(module), buffer)
    return buffer.getvalue()


def config(*tensors: str, batch: int = 0, more: str = "") -> str:
    return (
        f'backend: "pytorch"\nmax_batch_size: {batch}\n'
        "instance_group { count: 1 kind: KIND_CPU }\n" + "".join(tensors) + more
    )


def model(name: str, module: nn.Module, *tensors: str, batch: int = 8, more: str = "") -> Model:
    return Model(name, config(*tensors, batch=batch, more=more), {"model.pt": scripted(module)})


X, Y = tensor("input", "x", "FP32", [4]), tensor("output", "y__0", "FP32", [4])


def pairs(inputs: Sequence[str], outputs: Sequence[str]) -> list[str]:
    return [tensor("input", name, "FP32", [2]) for name in inputs] + [
        tensor("output", name, "FP32", [2]) for name in outputs
    ]


def ones(*shape: int) -> np.ndarray:
    return np.ones(shape, np.float32)
