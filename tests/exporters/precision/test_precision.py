"""FP16 and BF16: the same interface, other numbers inside."""

from __future__ import annotations

from collections.abc import Iterator

import onnx
import pytest
import torch
from torch import Tensor, nn

from exporters.export import ExportResult, Options, export_model
from exporters.formats.exporter import ExportError
from exporters.formats.onnx import OnnxExporter
from exporters.original import Original, run_original
from exporters.precision.agreement import OutputAgreement
from exporters.precision.precision import PRECISIONS, InPrecision, model_name, spec_in
from exporters.precision.reference import Reference, reference_for
from exporters.spec import ModelSpec
from tests import models
from tests.exporters.quadrants import quadrants
from trimaran.repository.config import ModelConfig, interface_difference
from trimaran.repository.repository import Repository


@pytest.fixture(scope="module")
def original() -> Original:
    return run_original(quadrants(), 4)


@pytest.fixture(scope="module")
def reference(original: Original) -> Iterator[Reference]:
    with reference_for(original) as shared:
        yield shared


def export(
    repository: Repository,
    original: Original,
    format: str,
    precision: str,
    reference: Reference | None = None,
) -> ExportResult:
    options = Options(precision)
    return export_model(original, format, repository, "tests", options=options, reference=reference)


def test_names() -> None:
    assert model_name("m", "onnx", "fp32") == "m_onnx"
    assert model_name("m", "torchscript", "bf16") == "m_torchscript_bf16"


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_only_what_floats_is_converted_and_the_original_stays(precision: str) -> None:
    spec = models.tokens()
    inside = PRECISIONS[precision].torch_dtype
    converted = spec_in(spec, run_original(spec, 4).interface, PRECISIONS[precision])
    assert isinstance(converted.module, InPrecision)
    assert {p.dtype for p in converted.module.parameters()} == {inside}
    assert {p.dtype for p in spec.module.parameters()} == {torch.float32}
    answers = converted.positional()(*spec.example_inputs.values())
    assert [a.dtype for a in answers] == [torch.float32, torch.int64, torch.bool]
    assert (answers[0] != answers[0].to(inside).float()).sum() == 0


@pytest.mark.parametrize(
    ("format", "precisions"),
    [
        pytest.param("onnx", ("int8",), marks=pytest.mark.long),
        ("torchscript", ("fp16", "bf16")),
    ],
)
def test_clients_see_the_same_interface_and_the_same_input_is_unchanged(
    empty_repository: Repository,
    original: Original,
    reference: Reference,
    format: str,
    precisions: tuple[str, ...],
) -> None:
    export(empty_repository, original, format, "fp32", reference)
    plain = empty_repository.config(f"quadrants_{format}")
    for precision in precisions:
        result = export(empty_repository, original, format, precision, reference)
        assert result.model == f"quadrants_{format}_{precision}"
        assert result.parity.passed, result.parity.problem
        lower = empty_repository.config(result.model)
        assert interface_difference(plain, lower) is None
        assert lower.backend == plain.backend
        again = export(empty_repository, original, format, precision, reference)
        assert again.publication is not None
        assert (again.publication.version, again.publication.unchanged) == (1, True)


@pytest.mark.long
def test_the_manifest_has_agreement_size_and_speed(
    empty_repository: Repository, original: Original, reference: Reference
) -> None:
    result = export(empty_repository, original, "onnx", "fp16", reference)
    version = empty_repository.newest("quadrants_onnx_fp16")
    assert version is not None
    assert version.manifest is not None
    assert version.manifest.source["precision"] == "fp16"
    assert version.manifest.source["judged_on"] == "the model's samples"
    (row,) = version.manifest.parity
    assert (row["rule"], row["agreement"], row["required"]) == ("top-1", 1.0, 0.99)
    assert (row["rows"], row["batch_sizes"]) == (256, [1, 2, 3, 4])
    size = (version.path / "model.onnx").stat().st_size
    assert result.model == "quadrants_onnx_fp16"
    plain = config_of_fp32(reference)
    assert interface_difference(plain, empty_repository.config(result.model)) is None
    assert row["cost"]["size"] == size
    assert row["cost"]["fp32_size"] > 0
    assert row["cost"]["speedup"]["low"] <= row["cost"]["speedup"]["value"]
    assert row["cost"]["speedup"]["rows"] == 4
    (judged,) = result.parity.outputs
    assert isinstance(judged, OutputAgreement)
    types = {t.data_type for t in onnx.load(version.path / "model.onnx").graph.initializer}
    assert onnx.TensorProto.FLOAT16 in types
    assert onnx.TensorProto.FLOAT not in types


def test_a_runtime_without_kernels_is_refused_with_a_way_round(
    empty_repository: Repository, original: Original
) -> None:
    with pytest.raises(ExportError) as refused:
        export(empty_repository, original, "onnx", "bf16")
    said = str(refused.value)
    assert said.startswith("model quadrants: its onnx export cannot be loaded in bf16: ")
    assert "bfloat16" in said
    assert str(empty_repository.root.parent) not in said
    assert said.endswith(
        "; ONNX Runtime lacks bf16 kernels on the CPU: use fp16 or int8, or --format torchscript "
        "for bf16"
    )
    assert empty_repository.names() == []


def config_of_fp32(reference: Reference) -> ModelConfig:
    """The configuration that the FP32 model has in ONNX."""
    original = reference.original
    return OnnxExporter().config("quadrants_onnx", original.interface, original.max_batch_size)


class KeepsFloat32(nn.Module):
    """Makes a float32 tensor, whatever it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x.float())


def test_a_module_that_insists_on_float32_is_refused(empty_repository: Repository) -> None:
    original = run_original(
        ModelSpec("stubborn", KeepsFloat32(), {"x": torch.randn(2, 4)}, ["y"]), 4
    )
    with pytest.raises(ExportError) as refused:
        export(empty_repository, original, "onnx", "fp16")
    assert str(refused.value).startswith("model stubborn cannot run in fp16: RuntimeError: ")
    assert str(refused.value).endswith(
        "; make its forward follow the dtype of its inputs, or use int8"
    )


class TooLarge(nn.Module):
    """Sums beyond what FP16 can hold."""

    def forward(self, x: Tensor) -> Tensor:
        return (x * 40_000 + 40_000).sum(1) / 40_000


def test_what_overflows_is_not_published(empty_repository: Repository) -> None:
    spec = ModelSpec("large", TooLarge(), {"x": torch.rand(2, 4)}, ["y"])
    result = export(empty_repository, run_original(spec, 4), "torchscript", "fp16")
    assert result.publication is None
    assert result.parity.problem.startswith("output 'y': is up to inf from FP32 (allowed: ")
    assert empty_repository.names() == []
    assert export(empty_repository, run_original(spec, 4), "torchscript", "bf16").publication
