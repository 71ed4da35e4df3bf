"""Artifacts that would answer otherwise than the module, each of a kind that people have met."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from exporters.export import ExportResult, export_model
from exporters.formats.exporter import ExportError
from exporters.original import run_original
from exporters.spec import ModelSpec
from trimaran.repository.repository import Repository

FORMATS = ("onnx", "torchscript")


class Does(nn.Module):
    """Whatever `what` makes of the inputs."""

    def __init__(self, what: Callable[..., Any]) -> None:
        super().__init__()
        self.what = what

    def forward(self, x: Tensor) -> Any:
        return self.what(x)


def export(repository: Repository, spec: ModelSpec, format: str) -> ExportResult:
    return export_model(run_original(spec, 4), format, repository, "tests")


class Same(nn.Module):
    """`same` padding as in TensorFlow: by the parity of the length."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv1d(3, 6, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        x = F.pad(x, (0 if x.shape[2] % 2 == 0 else 1, 1))
        return self.conv(x).relu().mean(2)


class Chunks(nn.Module):
    """Pads to a multiple of eight."""

    def forward(self, x: Tensor) -> Tensor:
        n = x.shape[2]
        if n % 8:
            x = F.pad(x, (0, 8 - n % 8))
        return x.reshape(x.shape[0], 3, -1, 8).amax(3).mean(2)


@pytest.mark.parametrize(
    "module",
    [
        pytest.param(Same(), id="parity"),
        pytest.param(Chunks(), id="multiple of 8", marks=pytest.mark.long),
    ],
)
def test_a_branch_by_length_is_kept_or_refused(
    module: nn.Module, empty_repository: Repository
) -> None:
    axes = {"x": {2: ("n", 16, 64)}}
    spec = ModelSpec("m", module, {"x": torch.randn(2, 3, 32)}, ["y"], dynamic_axes=axes)
    refused = export(empty_repository, spec, "onnx")
    assert refused.publication is None
    assert "(where forward goes another way than on the examples: not " in refused.parity.problem
    kept = export(empty_repository, spec, "torchscript")
    assert (kept.capture, kept.parity.passed) == ("script", True)
    path = empty_repository.version("m_torchscript", 1).path / "model.pt"
    script = torch.jit.load(path)
    for n in range(16, 65):
        x = torch.randn(2, 3, n)
        torch.testing.assert_close(script(x)[0], module(x)[0])


@pytest.mark.parametrize("format", FORMATS)
def test_a_length_taken_for_a_constant_is_refused(
    format: str, empty_repository: Repository
) -> None:
    axes = {"x": {1: ("n", 100, 4000)}}
    module = Does(lambda x: x.mean(1) * (2 if x.shape[1] == 1000 else 1))
    spec = ModelSpec("m", module, {"x": torch.randn(2, 160, 3)}, ["y"], dynamic_axes=axes)
    found = export(empty_repository, spec, format)
    assert found.publication is None
    assert "on n = 1000 (where forward goes another way" in found.parity.problem


UNUSUAL = {
    "conjugated output": (Does(lambda x: torch.fft.fft(x).conj().imag), torch.randn(2, 8)),
    "example with a gradient": (nn.Linear(6, 3), torch.randn(2, 6, requires_grad=True)),
    "read within an operator": (
        Does(lambda x: F.one_hot(x, 5).float()),
        torch.randint(0, 5, (4,)),
    ),
}

LATER = "example with a gradient", "onnx"
"""The short form tries it in the format whose export is quicker."""


@pytest.mark.parametrize(
    ("module", "example", "format"),
    [
        pytest.param(
            *given,
            format,
            id=f"{name}-{format}",
            marks=[pytest.mark.long] if (name, format) == LATER else [],
        )
        for name, given in UNUSUAL.items()
        for format in FORMATS
    ],
)
def test_what_computes_the_same_is_published(
    module: nn.Module, example: Tensor, format: str, empty_repository: Repository
) -> None:
    name = "input" if isinstance(module, nn.Linear) else "x"
    found = export(empty_repository, ModelSpec("m", module, {name: example}, ["y"]), format)
    assert found.publication is not None, found.parity.problem


def test_an_output_of_a_strided_axis_has_no_fixed_length(empty_repository: Repository) -> None:
    module = nn.Conv1d(1, 4, 8, stride=8)
    axes = {"input": {2: ("samples", 100, 4000)}}
    spec = ModelSpec("m", module, {"input": torch.randn(2, 1, 1000)}, ["y"], dynamic_axes=axes)
    export(empty_repository, spec, "onnx")
    assert list(empty_repository.config("m_onnx").output[0].dims) == [4, -1]


def test_nan_that_a_runtime_swallows_is_reported(empty_repository: Repository) -> None:
    spec = ModelSpec(
        "m", Does(lambda x: (x.amax(-1), x.argmax(-1))), {"x": torch.randn(4, 5)}, ["peak", "place"]
    )
    found = export(empty_repository, spec, "onnx")
    assert found.publication is not None
    assert len(found.parity.notes) == 2
    assert (
        "with NaN in its inputs, output 'peak' is another than PyTorch's" in (found.parity.notes[0])
    )
    assert not export(empty_repository, spec, "torchscript").parity.notes


@torch.library.custom_op("trimaran_tests::double", mutates_args=())
def double(x: Tensor) -> Tensor:
    """An operator that only this process knows."""
    return x * 2


@double.register_fake
def _(x: Tensor) -> Tensor:
    return torch.empty_like(x)


class Autocast(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return self.layer(x).float()


def orthogonal() -> nn.Module:
    return nn.Sequential(nn.utils.parametrizations.orthogonal(nn.Linear(6, 3)))


@pytest.mark.parametrize(
    ("make", "format", "said"),
    [
        (
            lambda: Does(double),
            "torchscript",
            "cannot be loaded: Unknown builtin op: trimaran_tests::double",
        ),
        (Autocast, "onnx", "forward computes in bfloat16, by torch.autocast or by a cast"),
        (orthogonal, "onnx", "parametrize.remove_parametrizations(module.0, 'weight')"),
    ],
    ids=["custom operator", "autocast", "parametrised weight"],
)
def test_what_no_server_could_run_is_refused_with_the_way_round(
    make: Callable[[], nn.Module], format: str, said: str, empty_repository: Repository
) -> None:
    name = "input" if format == "onnx" and make is orthogonal else "x"
    spec = ModelSpec("m", make(), {name: torch.randn(4, 6)}, ["y"])
    with pytest.raises(ExportError) as refused:
        export(empty_repository, spec, format)
    assert said in str(refused.value)
    assert empty_repository.names() == []


class Optional(nn.Module):
    """Has arguments that no request gives, and a branch that only its source keeps."""

    def forward(self, x: Tensor, factor: float = 2.0, shift: Tensor | None = None) -> Tensor:
        if x.shape[1] % 2 == 0:
            x = x * factor
        return x.mean(1) if shift is None else x.mean(1) + shift


def test_arguments_that_no_request_gives_are_left_out(empty_repository: Repository) -> None:
    axes = {"x": {1: ("n", 4, 9)}}
    spec = ModelSpec("m", Optional(), {"x": torch.randn(2, 6, 3)}, ["y"], dynamic_axes=axes)
    found = export(empty_repository, spec, "torchscript")
    assert (found.capture, found.parity.passed) == ("script", True)
    script = torch.jit.load(empty_repository.version("m_torchscript", 1).path / "model.pt")
    assert [a.name for a in script.forward.schema.arguments[1:]] == ["input_x"]
    x = torch.randn(3, 5, 3)
    np.testing.assert_allclose(script(x).numpy(), x.mean(1).numpy(), rtol=1e-6)
