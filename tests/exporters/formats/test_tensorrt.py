"""TensorRT: engines where there is a GPU, one sentence where there is none, and the accelerator."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

from exporters.export import Options, export_model
from exporters.formats.accelerator import ShapeRange, accelerate, profile_of
from exporters.formats.exporter import ExportError
from exporters.formats.tensorrt import TensorRtExporter, check_tensors
from exporters.original import Original, run_original
from tests import models
from tests.exporters.quadrants import quadrants, samples
from tests.trimaran.calling import call_trimaran
from trimaran.repository.config import ModelConfig, read_config
from trimaran.repository.repository import Repository
from trimaran.serving.client import Client
from trimaran.serving.runtime import find_runtime
from trimaran.serving.server import private_server
from trimaran.system.errors import ConfigError

HAS_PACKAGE = importlib.util.find_spec("tensorrt") is not None
HAS_GPU = torch.cuda.is_available()
on_gpu = pytest.mark.skipif(not (HAS_PACKAGE and HAS_GPU), reason="needs a GPU and TensorRT")
without_package = pytest.mark.skipif(HAS_PACKAGE, reason="TensorRT is installed here")
FACTORY = "tests/exporters/quadrants.py:quadrants"


@pytest.fixture(scope="module")
def original() -> Original:
    return run_original(quadrants(), 4)


@without_package
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_without_tensorrt_it_says_so_and_writes_nothing(tmp_path: Path, precision: str) -> None:
    root = tmp_path / "model_repository"
    options = ("--format", "tensorrt", "--precision", precision, "--repository", root)
    result = call_trimaran("export", FACTORY, *options)
    assert result.status == 1
    assert result.error == (
        "the format tensorrt needs the package tensorrt, which is not installed; install it on "
        "the machine with the GPU that will serve the engine, or use --format onnx with "
        "--accelerator tensorrt"
    )
    assert result.stdout == ""
    assert list(tmp_path.iterdir()) == []


@without_package
def test_exporting_without_tensorrt_publishes_nothing(
    empty_repository: Repository, original: Original
) -> None:
    with pytest.raises(ExportError, match="needs the package tensorrt"):
        export_model(original, "tensorrt", empty_repository, "tests")
    assert empty_repository.names() == []


def test_dynamic_int8_is_refused(empty_repository: Repository, original: Original) -> None:
    options = Options("int8", "dynamic")
    with pytest.raises(ExportError) as refused:
        export_model(original, "tensorrt", empty_repository, "tests", options=options)
    assert str(refused.value) == (
        "model quadrants: TensorRT has no dynamic int8; use --int8 static"
    )


def test_the_profile_spans_batches_and_dynamic_axes() -> None:
    assert profile_of(models.tokens(), 32) == {
        "tokens": ShapeRange((1, 1), (8, 7), (32, 64)),
        "mask": ShapeRange((1, 1), (8, 7), (32, 64)),
        "scale": ShapeRange((1,), (8,), (32,)),
    }
    assert profile_of(models.linear(), 1) == {"x": ShapeRange((1, 8), (1, 8), (1, 8))}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, None),
        ({"logits": None}, "the engine has 'logits' as nothing; the model has output logits FP32"),
        (
            {"image": ("input", torch.float16, (-1, 3, 8, 8))},
            "the engine has 'image' as ('input', torch.float16, (-1, 3, 8, 8)); the model has "
            "input image FP32 [3, 8, 8]",
        ),
        ({"logits": ("input", torch.float32, (-1, 4))}, "the model has output logits FP32 [4]"),
        ({"logits": ("output", torch.float32, (4,))}, "the model has output logits FP32 [4]"),
    ],
)
def test_an_engine_with_other_tensors_is_refused(
    original: Original, change: dict, said: str | None
) -> None:
    found = {
        "image": ("input", torch.float32, (-1, 3, 8, 8)),
        "logits": ("output", torch.float32, (-1, 4)),
        **change,
    }
    found = {name: item for name, item in found.items() if item is not None}
    if said is None:
        check_tensors(found, original.interface)
        return
    with pytest.raises(ExportError) as refused:
        check_tensors(found, original.interface)
    assert said in str(refused.value)


@pytest.mark.parametrize("precision", ["fp16", pytest.param("int8", marks=pytest.mark.long)])
def test_the_accelerator_is_asked_for_in_the_backends_words(
    precision: str, empty_repository: Repository
) -> None:
    options = ("--format", "onnx", "--precision", precision, "--accelerator", "tensorrt")
    export = ("export", FACTORY, *options, "--repository", empty_repository.root)
    assert call_trimaran(*export).status == 0
    config = empty_repository.config(f"quadrants_onnx_{precision}")
    accelerators = config.optimization.execution_accelerators
    assert not accelerators.cpu_execution_accelerator
    (item,) = accelerators.gpu_execution_accelerator
    assert item.name == "tensorrt"
    assert dict(item.parameters) == {
        "precision_mode": precision.upper(),
        "max_workspace_size_bytes": "1073741824",
        "trt_profile_min_shapes": "image:1x3x8x8",
        "trt_profile_opt_shapes": "image:8x3x8x8",
        "trt_profile_max_shapes": "image:32x3x8x8",
    }
    # Where the configuration stands it is kept, and the next export says unchanged.
    assert "version 1, unchanged" in call_trimaran(*export).stdout


def test_a_standing_configuration_without_accelerator_is_not_passed_over(
    empty_repository: Repository,
) -> None:
    export = ("export", FACTORY, "--format", "onnx", "--repository", empty_repository.root)
    assert call_trimaran(*export).status == 0
    path = empty_repository.config_path("quadrants_onnx")
    before = path.read_text()
    refused = call_trimaran(*export, "--accelerator", "tensorrt")
    assert refused.status == 1
    assert refused.error == (
        f"{path} exists and has no accelerator; add tensorrt to its optimization section, or "
        "leave --accelerator out"
    )
    assert path.read_text() == before


def test_the_accelerator_has_no_bf16() -> None:
    with pytest.raises(ConfigError) as refused:
        accelerate(ModelConfig(name="m_onnx_bf16"), "bf16", {})
    assert str(refused.value) == (
        "m_onnx_bf16: the tensorrt accelerator has no bf16; choose from fp32, fp16, int8, or "
        "leave --accelerator out"
    )


def test_a_server_without_gpu_serves_it_all_the_same(
    empty_repository: Repository, original: Original
) -> None:
    options = Options(accelerator="tensorrt")
    export_model(original, "onnx", empty_repository, "tests", options=options)
    assert "gpu_execution_accelerator" in str(
        read_config(empty_repository.config_path("quadrants_onnx"))
    )
    image = samples(2, 7)["image"]
    expected = original.spec.module(image).detach().numpy()
    with (
        private_server(find_runtime(), empty_repository, ["quadrants_onnx"]) as server,
        Client(server.endpoint) as client,
    ):
        answer = client.infer("quadrants_onnx", {"image": image.numpy()})
    np.testing.assert_allclose(answer.outputs["logits"], expected, rtol=1e-3, atol=1e-4)


@pytest.mark.gpu
@on_gpu
@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16", "int8"])
def test_an_engine_agrees_and_is_unchanged_when_built_again(
    empty_repository: Repository, original: Original, precision: str
) -> None:
    for unchanged in (False, True):
        result = export_model(
            original, "tensorrt", empty_repository, "tests", options=Options(precision)
        )
        assert result.parity.passed, result.parity.problem
        assert result.publication is not None
        assert result.publication.unchanged is unchanged
    version = empty_repository.newest(result.model)
    assert version is not None
    assert version.manifest is not None
    assert version.manifest.target["gpu"] == torch.cuda.get_device_name()
    assert set(version.manifest.target) >= {"compute_capability", "tensorrt"}
    plan = (version.path / "model.plan").read_bytes()
    assert b"{" not in plan[:8]  # some exporters put a header of JSON before the plan
    assert empty_repository.config(result.model).backend == "tensorrt"


@pytest.mark.gpu
@on_gpu
def test_a_graph_that_tensorrt_cannot_build_is_reported(
    empty_repository: Repository,
) -> None:
    spec = models.tokens()
    with pytest.raises(ExportError, match="TensorRT"):
        export_model(run_original(spec, 4), "tensorrt", empty_repository, "tests")
    assert empty_repository.names() == []


def test_an_engine_is_known_by_its_format() -> None:
    exporter = TensorRtExporter()
    assert (exporter.format, exporter.backend, exporter.file_name) == (
        "tensorrt",
        "tensorrt",
        "model.plan",
    )
