"""What is captured for every length gives PyTorch's values, and is captured for every length."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from exporters.any_length import of_any_length
from exporters.export import export_model
from exporters.formats.program import export_program
from exporters.original import run_original
from exporters.spec import ModelSpec
from exporters.torch_state import quiet
from trimaran.repository.repository import Repository

X = torch.arange(88.0).reshape(2, 4, 11).sin()


def same(call: Callable[[], object]) -> bool:
    plain = call()
    with of_any_length():
        replaced = call()
    pairs = zip(
        torch.utils._pytree.tree_leaves(plain),
        torch.utils._pytree.tree_leaves(replaced),
        strict=True,
    )
    return all(torch.allclose(one, other, atol=1e-6) for one, other in pairs)


@pytest.mark.parametrize("indices", [False, True])
def test_max_pool1d_is_the_same(indices: bool) -> None:
    choices = itertools.product((2, 3, (3,)), (None, 1, 2), (0, 1), (1, 2), (False, True))
    for kernel, stride, padding, dilation, ceil in choices:
        pool = nn.MaxPool1d(kernel, stride, padding, dilation, indices, ceil)
        assert same(lambda pool=pool: pool(X))
        assert same(lambda pool=pool: pool(X[0]))


@pytest.mark.parametrize("size", [(3, 4, 5, 7), (3, 4, 5, 7, 6), (1, 1, 1, 4)])
@pytest.mark.parametrize("aligned", [False, True])
def test_affine_grid_is_the_same(size: tuple[int, ...], aligned: bool) -> None:
    axes = len(size) - 2
    theta = torch.arange(size[0] * axes * (axes + 1.0)).reshape(size[0], axes, axes + 1)
    with quiet():  # torch warns of an axis of length 1
        assert same(lambda: functional.affine_grid(theta, size, align_corners=aligned))


def test_take_along_dim_and_linspace_are_the_same() -> None:
    at = X.argsort(1)
    assert same(lambda: torch.take_along_dim(X, at, 1))
    assert same(lambda: X.take_along_dim(at[:1, :, :1], dim=-2))
    assert same(lambda: torch.take_along_dim(X, at))
    assert same(lambda: torch.linspace(-1, 3, 7))
    assert same(lambda: torch.linspace(0, 9, 4, dtype=torch.int64))


class Layers(nn.Module):
    """Recurrent layers of each kind, and functions that take lengths as numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.tanh = nn.RNN(3, 4, num_layers=2, batch_first=True, bidirectional=True, bias=False)
        self.relu = nn.RNN(8, 4, nonlinearity="relu")
        self.gru = nn.GRU(4, 4, bidirectional=True, batch_first=True)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        steps, state = self.tanh(x)
        steps = self.relu(steps.transpose(0, 1))[0].transpose(0, 1)
        steps = functional.max_pool1d(steps.transpose(1, 2), 2).transpose(1, 2)
        steps = steps + torch.linspace(-1, 1, steps.shape[1]).unsqueeze(-1)
        return self.gru(steps)[0], state.transpose(0, 1)


class Gated(nn.Module):
    """One recurrent layer, and the same functions."""

    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(3, 4, batch_first=True)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        steps, state = self.gru(x)
        steps = functional.max_pool1d(steps.transpose(1, 2), 2).transpose(1, 2)
        steps = steps + torch.linspace(-1, 1, steps.shape[1]).unsqueeze(-1)
        return steps, state.transpose(0, 1)


def _spec(layers: nn.Module) -> ModelSpec:
    axes = {"x": {1: ("steps", 2, 12)}}
    return ModelSpec("layers", layers, {"x": torch.randn(2, 6, 3)}, ["y", "h"], dynamic_axes=axes)


@pytest.mark.parametrize("kind", [Gated, pytest.param(Layers, marks=pytest.mark.long)])
def test_recurrent_layers_are_onnx_of_any_length(
    kind: type[nn.Module], empty_repository: Repository
) -> None:
    torch.manual_seed(0)
    result = export_model(run_original(_spec(kind()), 4), "onnx", empty_repository, "test")
    assert result.parity.passed, result.parity.problem


def test_what_torch_assumes_of_lengths_for_the_example_is_left_to_the_gate() -> None:
    class Volume(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convolution = nn.Conv3d(1, 2, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.convolution(functional.max_pool3d(x, 2)).sum(1)

    x, axes = torch.ones(2, 1, 10, 8, 8), {"x": {2: ("depth", 6, 20)}}
    with quiet():
        program = export_program(ModelSpec("v", Volume(), {"x": x}, ["y"], dynamic_axes=axes))
        answer = program.module(check_guards=False)(torch.ones(3, 1, 6, 8, 8))
    assert answer[0].shape == (3, 1, 2, 2)
