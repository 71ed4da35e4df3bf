"""ONNX: one file, with every axis that varies, for what the container reads."""

from __future__ import annotations

import logging
from pathlib import Path

import onnx
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from exporters.export import export_model
from exporters.formats.exporter import ExportError
from exporters.formats.onnx import OnnxExporter
from exporters.original import run_original
from exporters.spec import ModelSpec
from tests import models
from trimaran.repository import target
from trimaran.repository.repository import Repository


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with several inputs and outputs and an axis that varies, exported."""
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    assert list(OnnxExporter().captures(models.tokens(), path)) == ["dynamo"]
    return path


def test_it_is_one_file(tokens: Path) -> None:
    assert list(tokens.parent.iterdir()) == [tokens]
    model = onnx.load(tokens, load_external_data=False)
    assert model.graph.initializer
    for tensor in model.graph.initializer:
        assert tensor.data_location == onnx.TensorProto.DEFAULT
    onnx.checker.check_model(model, full_check=True)


def test_opset_and_ir_are_ones_that_the_container_reads(tokens: Path) -> None:
    model = onnx.load(tokens)
    assert {item.domain for item in model.opset_import} <= {"", "ai.onnx"}
    assert max(item.version for item in model.opset_import) <= target.ONNX_OPSET
    assert model.ir_version <= target.ONNX_IR_VERSION
    assert OnnxExporter().target(tokens) == {
        "container": target.CONTAINER,
        "opset": max(item.version for item in model.opset_import),
        "ir_version": model.ir_version,
    }


@pytest.mark.parametrize(
    ("opset", "ir_version", "said"), [(19, 10, "has opset 19 and IR 10"), (18, 11, "and IR 11")]
)
def test_a_newer_file_is_refused(
    tokens: Path, tmp_path: Path, opset: int, ir_version: int, said: str
) -> None:
    model = onnx.load(tokens)
    model.opset_import[0].version, model.ir_version = opset, ir_version
    onnx.save(model, tmp_path / "model.onnx")
    with pytest.raises(ExportError, match=f"container {target.CONTAINER} is served") as refused:
        OnnxExporter().target(tmp_path / "model.onnx")
    assert said in str(refused.value)


def test_every_axis_that_varies_does(tokens: Path) -> None:
    graph = onnx.load(tokens).graph
    shapes = {
        value.name: [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*graph.input, *graph.output)
    }
    assert shapes == {
        "tokens": ["batch", "sequence"],
        "mask": ["batch", "sequence"],
        "scale": ["batch"],
        "hidden": ["batch", "sequence", 6],
        "count": ["batch"],
        "any": ["batch"],
    }


def test_the_file_says_nothing_about_this_machine(tokens: Path) -> None:
    content = tokens.read_bytes()
    for place in (Path(models.__file__).parent, Path(torch.__file__).parent, tokens.parent):
        assert str(place).encode() not in content
    for word in (b"site-packages", b"/home/", b"/root/", b"/tmp/", b".py"):
        assert word not in content


class LoopsOverRows(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([row + 1 for row in x])


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (
            lambda: ModelSpec("loops", LoopsOverRows(), {"x": torch.zeros(2, 8)}, ["y"]),
            "the batch axis of 'x' came out as 2; do not compute with a fixed batch size",
        ),
        (models.scaled_by_length, "the length axis of 'x' came out as 7"),
    ],
)
def test_an_axis_that_came_out_fixed_is_refused(
    make, said: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ExportError) as refused:
        list(OnnxExporter().captures(make(), tmp_path / "model.onnx"))
    assert said in str(refused.value)
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr().err == ""


def test_what_torch_says_when_it_gives_up_is_one_sentence(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    level = logging.getLogger("torch").level
    with pytest.raises(ExportError, match="model branches cannot be exported to ONNX") as refused:
        list(OnnxExporter().captures(models.branches(), tmp_path / "model.onnx"))
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 400
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")
    assert logging.getLogger("torch").level == level


class Attends(nn.Module):
    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        if x.ndim == 3:
            return functional.scaled_dot_product_attention(x, x, x, mask)
        return functional.scaled_dot_product_attention(x, x, x, mask[:, None])


@pytest.mark.parametrize("shape", [pytest.param((2, 5, 4), marks=pytest.mark.long), (2, 3, 5, 4)])
def test_a_query_that_may_look_at_nothing_answers_zeros(
    shape: tuple[int, ...], empty_repository: Repository
) -> None:
    mask = torch.ones(2, 5, 5, dtype=torch.bool).tril()
    mask[:, 3] = False
    examples = {"x": torch.randn(shape), "mask": mask}
    original = run_original(ModelSpec("attends", Attends(), examples, ["y"]), 3)
    result = export_model(original, "onnx", empty_repository, "a test")
    assert result.parity.passed, result.parity.problem


class Halves(nn.Module):
    def forward(self, x: Tensor) -> dict[str, Tensor]:
        half = functional.avg_pool1d(x[:, None], 2)
        return {"y": x + functional.interpolate(half, scale_factor=2.0)[:, 0]}


def test_an_axis_may_go_by_steps(empty_repository: Repository) -> None:
    axes = {"x": {1: ("length", 2, 32, 2)}}
    spec = ModelSpec("halves", Halves(), {"x": torch.randn(2, 8)}, ["y"], dynamic_axes=axes)
    result = export_model(run_original(spec, 3), "onnx", empty_repository, "a test")
    assert result.parity.passed, result.parity.problem


def test_control_flow_on_values_is_refused_with_the_way_round(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"write the choice with torch.where or torch.cond"):
        list(OnnxExporter().captures(models.branches(), tmp_path / "model.onnx"))
