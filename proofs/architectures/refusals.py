"""Networks that one format or both must refuse, and say why."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from exporters.spec import ModelSpec
from proofs.architectures.architecture import Architecture

__all__ = ["architectures"]


def architectures() -> Iterator[Architecture]:
    """Control flow on values, outputs without a batch axis, and types that nobody can carry."""
    yield _refused("branch_on_values", Branch(), onnx="torch.cond", aoti="torch.cond")
    yield _refused("rows_of_a_loop", RowsOfALoop(), onnx="the batch axis", aoti=_CONSTANT)
    yield _refused("only_the_positive", Positive(), _ORIGINAL)
    yield _refused("mean_of_the_batch", BatchMean(), "requests may not be batched together")
    yield _refused("complex_output", Complex(), "complex64, which Triton cannot carry")
    yield _refused("sparse_output", Sparse(), "sparse")
    yield _refused("random_numbers", Noise(), "random")
    yield _refused(
        "numpy_inside",
        NumpyInside(),
        aoti="leaves torch for NumPy",
        torchscript="reads a tensor's values",
    )


_CONSTANT = "makes a constant of an axis that varies"
_ORIGINAL = "its first axis must be the batch"


def _refused(
    name: str,
    module: nn.Module,
    every: str = "",
    *,
    onnx: str = "",
    aoti: str = "",
    torchscript: str = "",
) -> Architecture:
    reasons = {"onnx": onnx, "aoti": aoti, "torchscript": torchscript}

    def build() -> ModelSpec:
        return ModelSpec(name, module, {"x": torch.randn(2, 6)}, ["y"])

    return Architecture(
        name, "refused", build, {f: r or every for f, r in reasons.items() if r or every}
    )


class Branch(nn.Module):
    """Takes another way for large rows, which TorchScript can script and ONNX cannot follow."""

    def forward(self, x: Tensor) -> Tensor:
        if bool(x.abs().max() > 100.0):
            return x / x.abs().amax(1, keepdim=True)
        return x * 2.0


class RowsOfALoop(nn.Module):
    """A Python loop over the rows."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([row.cumsum(0) for row in x])


class Positive(nn.Module):
    """As many values as are positive."""

    def forward(self, x: Tensor) -> Tensor:
        return x[x > 0]


class BatchMean(nn.Module):
    """Centres by the mean of the batch."""

    def forward(self, x: Tensor) -> Tensor:
        return x - x.mean(0)


class Complex(nn.Module):
    """The whole spectrum."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.fft.rfft(x)


class Sparse(nn.Module):
    """A sparse answer."""

    def forward(self, x: Tensor) -> Tensor:
        return x.relu().to_sparse()


class Noise(nn.Module):
    """Random numbers in the answer."""

    def forward(self, x: Tensor) -> Tensor:
        return x + torch.randn_like(x)


class NumpyInside(nn.Module):
    """Leaves torch on the way."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.from_numpy(x.numpy().max(1, keepdims=True))
