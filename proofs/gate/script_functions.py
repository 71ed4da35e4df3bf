"""Functions that a change puts into a TorchScript graph, by the names of the ONNX ones."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor

__all__ = ["scripted"]


def _mean_subtracted(x: Tensor, n: int, a: float, b: float) -> Tensor:
    return x - x.mean(0, keepdim=True)


def _little_mean_subtracted(x: Tensor, n: int, a: float, b: float) -> Tensor:
    return x - 0.01 * x.mean(0, keepdim=True)


def _row_before(x: Tensor, n: int, a: float, b: float) -> Tensor:
    return x + 0.01 * x.roll(1, 0)


def _eight_bits(x: Tensor, n: int, a: float, b: float) -> Tensor:
    step = x.abs().amax().clamp(min=1e-30) / 127.0
    return torch.round(x / step) * step


def _batch_normalised(x: Tensor, n: int, a: float, b: float) -> Tensor:
    moved = x - x.mean(0, keepdim=True)
    return moved / torch.sqrt((moved * moved).mean(0, keepdim=True) + 0.01)


def _first_row(x: Tensor, n: int, a: float, b: float) -> Tensor:
    return x[:1].expand_as(x)


def _little_first_row(x: Tensor, n: int, a: float, b: float) -> Tensor:
    return x + 0.01 * x[:1]


def _noise(x: Tensor, n: int, a: float, b: float) -> Tensor:
    return x + a * torch.randn_like(x)


def _dropout(x: Tensor, n: int, a: float, b: float) -> Tensor:
    return torch.dropout(x, 0.1, True)


def _clamped(x: Tensor, n: int, a: float, b: float) -> Tensor:
    return torch.clamp(x, a, b)


def _mean_above(x: Tensor, n: int, a: float, b: float) -> Tensor:
    return x * (1 + 0.05 * (x.mean() > a).to(x.dtype))


def _other_sign(x: Tensor, n: int, a: float, b: float) -> Tensor:
    return x * (1 + 0.05 * (x.sum() * a < 0).to(x.dtype))


def _row_above(x: Tensor, n: int, a: float, b: float) -> Tensor:
    wrong = (x.flatten(1).amax(1) > a).to(x.dtype)
    return x * (1 + 0.05 * wrong.view([x.size(0)] + [1] * (x.dim() - 1)))


def _odd(x: Tensor, n: int, a: float, b: float) -> Tensor:
    return x * (1 + 0.05 * float(n % 2 == 1))


def _even(x: Tensor, n: int, a: float, b: float) -> Tensor:
    return x * (1 + 0.05 * float(n % 2 == 0))


def _fours(x: Tensor, n: int, a: float, b: float) -> Tensor:
    return x * (1 + 0.05 * float(n % 4 == 0))


def _eights(x: Tensor, n: int, a: float, b: float) -> Tensor:
    return x * (1 + 0.05 * float(n % 8 == 0))


def _more(x: Tensor, n: int, a: float, b: float) -> Tensor:
    return x * (1 + 0.05 * float(n > a))


def _less(x: Tensor, n: int, a: float, b: float) -> Tensor:
    return x * (1 + 0.05 * float(n < a))


def _exactly(x: Tensor, n: int, a: float, b: float) -> Tensor:
    return x * (1 + 0.05 * float(n == a))


def _half(x: Tensor, n: int, a: float, b: float) -> Tensor:
    return x.to(torch.float16).to(x.dtype)


def _brain_half(x: Tensor, n: int, a: float, b: float) -> Tensor:
    return x.to(torch.bfloat16).to(x.dtype)


def _relu(x: Tensor, n: int, a: float, b: float) -> Tensor:
    return torch.relu(x)


def _leaky_relu(x: Tensor, n: int, a: float, b: float) -> Tensor:
    return torch.nn.functional.leaky_relu(x, 0.01)


def _tanh(x: Tensor, n: int, a: float, b: float) -> Tensor:
    return torch.tanh(x)


def _sigmoid(x: Tensor, n: int, a: float, b: float) -> Tensor:
    return torch.sigmoid(x)


def _hard_sigmoid(x: Tensor, n: int, a: float, b: float) -> Tensor:
    return torch.clamp(x / 6 + 0.5, 0.0, 1.0)


def _elu(x: Tensor, n: int, a: float, b: float) -> Tensor:
    return torch.nn.functional.elu(x)


def _softplus(x: Tensor, n: int, a: float, b: float) -> Tensor:
    return torch.nn.functional.softplus(x)


def _hardswish(x: Tensor, n: int, a: float, b: float) -> Tensor:
    return x * torch.clamp(x / 6 + 0.5, 0.0, 1.0)


def _silu(x: Tensor, n: int, a: float, b: float) -> Tensor:
    return x * torch.sigmoid(x)


def _mish(x: Tensor, n: int, a: float, b: float) -> Tensor:
    return x * torch.tanh(torch.nn.functional.softplus(x))


def _gelu(x: Tensor, n: int, a: float, b: float) -> Tensor:
    return torch.nn.functional.gelu(x)


def _gelu_by_tanh(x: Tensor, n: int, a: float, b: float) -> Tensor:
    return torch.nn.functional.gelu(x, approximate="tanh")


_FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    "the batch's mean subtracted": _mean_subtracted,
    "1 % of the batch's mean subtracted": _little_mean_subtracted,
    "1 % of the row before added": _row_before,
    "rounded to 8 bits of the batch's range": _eight_bits,
    "normalised over the batch": _batch_normalised,
    "the first row": _first_row,
    "1 % of the first row": _little_first_row,
    "noise of 1 %": _noise,
    "dropout of 10 %": _dropout,
    "clamped to the example's range": _clamped,
    "5 % more where the batch's mean is above the example's": _mean_above,
    "5 % more where the batch's sum has another sign than the example's": _other_sign,
    "5 % more in a row whose largest value is above the example's": _row_above,
    "odd": _odd,
    "even": _even,
    "a multiple of 4": _fours,
    "a multiple of 8": _eights,
    "more than": _more,
    "less than": _less,
    "exactly": _exactly,
    "float16": _half,
    "bfloat16": _brain_half,
    "relu": _relu,
    "leaky relu": _leaky_relu,
    "tanh": _tanh,
    "sigmoid": _sigmoid,
    "hard sigmoid": _hard_sigmoid,
    "elu": _elu,
    "softplus": _softplus,
    "hardswish": _hardswish,
    "silu": _silu,
    "mish": _mish,
    "gelu": _gelu,
    "gelu by tanh": _gelu_by_tanh,
}


@cache
def scripted(name: str) -> Any:
    """The graph of a function of `x`, the length of an axis, and two numbers."""
    return torch.jit.script(_FUNCTIONS[name]).graph
