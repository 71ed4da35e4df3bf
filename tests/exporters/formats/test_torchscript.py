"""TorchScript: the way that works is taken, and equal models have equal digests."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from exporters.export import export_model
from exporters.formats.exporter import ExportError
from exporters.formats.program import export_program, script_program
from exporters.formats.torchscript import TorchScriptExporter
from exporters.original import run_original
from exporters.spec import ModelSpec
from exporters.torch_state import quiet
from tests import models
from trimaran.repository import target
from trimaran.repository.config import inputs_of, outputs_of
from trimaran.repository.repository import Repository

X = torch.arange(16.0).reshape(2, 8)


class Attributes(nn.Module):
    """Holds values of every kind that a scripted module can have."""

    def __init__(
        self, number: float = 1.25, plain: float = 3.0, buffer: float = 5.0, hidden: float = 7.0
    ) -> None:
        super().__init__()
        self.number = number
        self.plain = torch.full((1,), plain)
        self.register_buffer("buffer", torch.full((1,), buffer))
        self.register_buffer("hidden", torch.full((1,), hidden), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        rows = []
        for index in range(x.size(0)):  # a trace counts the rows once, so that this is scripted
            rows.append(x[index] * self.number + self.plain + self.buffer * self.hidden)  # noqa: PERF401
        return torch.stack(rows)


class Constant(nn.Module):
    """The same graph but for the last digits of a constant."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def forward(self, x: Tensor) -> Tensor:
        return x * self.value


def digest(spec: ModelSpec, directory: Path) -> tuple[str, str]:
    """How the model was captured in the end, and its digest."""
    exporter, path = TorchScriptExporter(), directory / "model.pt"
    ways = list(exporter.captures(spec, path))
    return ways[-1], exporter.digest(path)


def attributes(**changed: float) -> ModelSpec:
    return ModelSpec("attributes", Attributes(**changed), {"x": X}, ["y"])


def constant(value: float) -> ModelSpec:
    return ModelSpec("constant", Constant(value), {"x": X.double()}, ["y"])


def test_equal_models_have_equal_digests_whatever_else_the_process_did(tmp_path: Path) -> None:
    for make in (models.linear, models.branches, attributes):
        first = digest(make(), tmp_path)
        digest(models.linear_other_weights(), tmp_path)
        assert digest(make(), tmp_path) == first


@pytest.mark.parametrize("name", ["number", "plain", "buffer", "hidden"])
def test_every_value_of_a_scripted_module_counts(name: str, tmp_path: Path) -> None:
    way, plain = digest(attributes(), tmp_path)
    assert way == "script"
    assert digest(attributes(**{name: 1.5}), tmp_path) != ("script", plain)


def test_the_last_digit_of_a_traced_constant_counts(tmp_path: Path) -> None:
    exporter, path = TorchScriptExporter(), tmp_path / "model.pt"
    digests = set()
    for value in (0.1, 0.1 + 1e-12, 0.1):
        assert next(exporter.captures(constant(value), path)) == "trace"
        digests.add(exporter.digest(path))
    assert len(digests) == 2


def test_other_weights_have_another_digest(tmp_path: Path) -> None:
    spec, other = models.linear(), models.linear_other_weights()
    assert digest(spec, tmp_path) != digest(other, tmp_path)


def test_a_wrong_trace_is_replaced_by_the_script(empty_repository: Repository) -> None:
    original = run_original(models.branches(), 5)
    result = export_model(original, "torchscript", empty_repository, "a test")
    assert result.capture == "script"
    assert result.parity.passed
    newest = empty_repository.newest("branches_torchscript")
    assert newest is not None
    assert newest.manifest is not None
    assert newest.manifest.source["capture"] == "script"
    assert sorted(newest.manifest.files) == ["model.pt"]
    with torch.no_grad():
        module = torch.jit.load(newest.path / "model.pt")
        for rows in (1, 4):
            torch.testing.assert_close(module(X[:1].repeat(rows, 1)), X[:1].repeat(rows, 1) + 1)


class RareBranch(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        if bool(x.abs().max() > 1e6):
            return x * 2
        return x + 1


class RareBranchInPython(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * max([1.0, *(value for value in x.flatten().tolist() if value > 1e6)])


def test_a_branch_that_no_sample_takes_is_not_traced_away(empty_repository: Repository) -> None:
    original = run_original(ModelSpec("rare", RareBranch(), {"x": X}, ["y"]), 3)
    assert export_model(original, "torchscript", empty_repository, "a test").capture == "script"
    newest = empty_repository.newest("rare_torchscript")
    assert newest is not None
    with torch.no_grad():
        module = torch.jit.load(newest.path / "model.pt")
        torch.testing.assert_close(module(X + 1e7), (X + 1e7) * 2)


def test_values_that_only_python_can_read_are_refused_by_their_place(tmp_path: Path) -> None:
    spec = ModelSpec("rare", RareBranchInPython(), {"x": X}, ["y"])
    with pytest.raises(ExportError) as refused:
        list(TorchScriptExporter().captures(spec, tmp_path / "model.pt"))
    assert "reads a tensor's values at test_torchscript.py:" in str(refused.value)
    assert "torch.where or torch.cond" in str(refused.value)
    assert list(tmp_path.iterdir()) == []


class Sizes(nn.Module):
    """Computes with its sizes, in the ways in which graphs hold them."""

    def forward(self, x: Tensor) -> Tensor:
        rows, length = x.shape
        mean = x.sum(1, keepdim=True) / length
        ramp = torch.arange(length, device=x.device) / length
        return torch.cat([x + ramp, mean.expand(rows, 3)], 1).masked_fill(x.new_ones(()) < 0, -1.0)


def test_a_graph_keeps_the_lengths_that_it_computes_with() -> None:
    axes = {"x": {1: ("length", 3, 16)}}
    spec = ModelSpec("sizes", Sizes(), {"x": X}, ["y"], dynamic_axes=axes)
    with quiet():
        module = script_program(export_program(spec))
        for rows, length in ((1, 3), (3, 16), (2, 8)):
            x = torch.randn(rows, length)
            torch.testing.assert_close(module(x)[0], spec.module(x))


class Doubles(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        return x * 2

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        return gradient * 2


class CallsPython(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return Doubles.apply(x) + float("-inf") * (x < -1e9)


def test_an_autograd_function_is_captured_as_its_graph(tmp_path: Path) -> None:
    spec = ModelSpec("doubles", CallsPython(), {"x": X}, ["y"])
    assert next(TorchScriptExporter().captures(spec, tmp_path / "model.pt")) == "graph"


def test_the_archive_keeps_the_version_that_its_operators_mean(tmp_path: Path) -> None:
    """`gelu` took `approximate` in file format 9; as of an older format it could not be loaded."""
    path = tmp_path / "model.pt"
    spec = ModelSpec("gelu", nn.GELU(approximate="tanh"), {"x": X}, ["y"])
    next(TorchScriptExporter().captures(spec, path))
    assert TorchScriptExporter().target(path)["file_version"] == 10
    with torch.no_grad():
        torch.testing.assert_close(torch.jit.load(path)(X)[0], spec.module(X))


def test_a_way_that_breaks_off_leaves_no_file_behind(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"cannot be exported to TorchScript: KeyError"):
        list(TorchScriptExporter().captures(models.table_of_sizes(), tmp_path / "model.pt"))
    assert list(tmp_path.iterdir()) == []


class AddsInPlace(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.add_(1.0)


def test_an_artifact_that_writes_into_its_input_leaves_the_batches_alone(
    empty_repository: Repository,
) -> None:
    original = run_original(ModelSpec("in_place", AddsInPlace(), {"x": X}, ["y"]), 4)
    before = [batch["x"].copy() for batch in original.batches]
    for _ in range(2):
        result = export_model(original, "torchscript", empty_repository, "a test")
        assert result.publication is not None, result.parity.problem
    for batch, kept in zip(original.batches, before, strict=True):
        np.testing.assert_array_equal(batch["x"], kept)


def test_tensors_are_named_by_their_position(empty_repository: Repository) -> None:
    export_model(run_original(models.tokens(), 4), "torchscript", empty_repository, "a test")
    config = empty_repository.config("tokens_torchscript")
    assert config.backend == "pytorch"
    assert [str(spec) for spec in inputs_of(config)] == [
        "tokens__0 INT64 [-1]", "mask__1 BOOL [-1]", "scale__2 INT8 [1] reshaped to []",
    ]  # fmt: skip
    assert [str(spec) for spec in outputs_of(config)] == [
        "hidden__0 FP32 [-1, 6]", "count__1 INT64 [1] reshaped to []",
        "any__2 BOOL [1] reshaped to []",
    ]  # fmt: skip


@pytest.mark.parametrize("make", [models.linear, models.branches])
def test_the_archive_says_nothing_about_this_machine(make, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    list(TorchScriptExporter().captures(make(), path))
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        content = b"\0".join([path.read_bytes(), *map(archive.read, names)])
    assert {name.split("/")[0] for name in names} == {"model"}
    assert not [name for name in names if "debug_pkl" in name or "traced_inputs" in name]
    for place in (Path(models.__file__).parent, Path(torch.__file__).parent, tmp_path):
        assert str(place).encode() not in content
    for word in (b"site-packages", b"/home/", b"/root/", b"/tmp/"):
        assert word not in content


def test_the_file_format_is_one_that_the_container_reads(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    list(TorchScriptExporter().captures(models.linear(), path))
    found = TorchScriptExporter().target(path)
    assert found["container"] == target.CONTAINER
    assert 0 < int(found["file_version"]) <= target.TORCHSCRIPT_FILE_VERSION
