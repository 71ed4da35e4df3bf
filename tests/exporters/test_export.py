"""From a model to a version, in both formats: captured, verified, published."""

from __future__ import annotations

from datetime import datetime
from importlib import metadata

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from exporters.export import (
    FORMATS,
    ExportResult,
    export_model,
    label_file_name,
    largest_served_batch,
)
from exporters.original import run_original
from exporters.spec import ModelSpec
from exporters.torch_state import quiet
from tests import models
from trimaran.repository.config import inputs_of, outputs_of
from trimaran.repository.repository import Repository, Version

BOTH = pytest.mark.parametrize("format", ["onnx", "torchscript"])
DTYPES = ("float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint8", "bool")


class Rolls(nn.Module):
    """Rolls the values of each input, which every type and runtime can do."""

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        return tuple(torch.cat([x[:, 1:], x[:, :1]], 1) for x in inputs)


def every_dtype() -> ModelSpec:
    torch.manual_seed(0)
    examples = {f"in_{d}": (torch.rand(2, 3) * 9 - 1).to(getattr(torch, d)) for d in DTYPES}
    examples["in_uint8"] = torch.tensor([[0, 255, 7], [1, 2, 3]], dtype=torch.uint8)
    return ModelSpec("every_dtype", Rolls(), examples, [f"out_{d}" for d in DTYPES])


def export(repository: Repository, spec: ModelSpec, format: str, most: int = 4) -> ExportResult:
    return export_model(run_original(spec, most), format, repository, "tests:model")


def newest(repository: Repository, name: str) -> Version:
    version = repository.newest(name)
    assert version is not None
    assert version.manifest is not None
    return version


@BOTH
def test_every_dtype_is_exported_as_it_is(empty_repository: Repository, format: str) -> None:
    result = export(empty_repository, every_dtype(), format)
    assert result.parity.passed, result.parity.problem
    assert [row.largest_error for row in result.parity.outputs] == [0.0] * len(DTYPES)
    config = empty_repository.config(f"every_dtype_{format}")
    expected = ["FP64", "FP32", "FP16", "INT64", "INT32", "INT16", "INT8", "UINT8", "BOOL"]
    assert [spec.dtype.triton for spec in inputs_of(config)] == expected
    assert [spec.dtype.triton for spec in outputs_of(config)] == expected
    arrays = [np.array([[0, 1, 1]]).astype(d) for d in DTYPES]
    path = newest(empty_repository, f"every_dtype_{format}").path
    if format == "onnx":
        session = onnxruntime.InferenceSession(path / "model.onnx")
        feed = dict(zip((f"in_{d}" for d in DTYPES), arrays, strict=True))
        answers = session.run([f"out_{d}" for d in DTYPES], feed)
    else:
        with quiet():
            module = torch.jit.load(path / "model.pt")
            answers = [t.numpy() for t in module(*map(torch.from_numpy, arrays))]
    for name, answer in zip(DTYPES, answers, strict=True):
        assert answer.dtype == name
        np.testing.assert_array_equal(answer, np.array([[1, 1, 0]]).astype(name))


@BOTH
def test_a_version_says_what_it_is_and_where_it_came_from(
    empty_repository: Repository, format: str
) -> None:
    result = export(empty_repository, models.linear(), format)
    version = newest(empty_repository, f"linear_{format}")
    manifest = version.manifest
    assert manifest is not None
    assert result.publication is not None
    assert (result.publication.version, result.publication.unchanged) == (1, False)
    exporter = FORMATS[format]
    assert set(manifest.files) == {exporter.file_name, "labels.txt"}
    assert {e.name for e in version.path.iterdir()} == {*manifest.files, "manifest.json"}
    assert manifest.damage(version.path, hashes=True) is None
    assert manifest.format == format
    assert manifest.source["factory"] == "tests:model"
    assert manifest.source["capture"] == result.capture
    assert len(manifest.source["git_commit"].removesuffix("-dirty")) in (0, 40)
    assert dict(manifest.libraries) == {
        name: metadata.version(name) for name in ("trimaran", *exporter.libraries)
    }
    assert manifest.target["container"]
    assert datetime.fromisoformat(manifest.created_at).tzinfo is not None
    (row,) = manifest.parity
    assert row["output"] == "y"
    assert row["passed"] is True
    assert row["batch_sizes"] == [1, 2, 3, 4]
    assert 0 <= row["largest_error"] <= row["atol"] + row["rtol"] * 10
    config = empty_repository.config(f"linear_{format}")
    assert config.backend == exporter.backend
    assert config.max_batch_size == 4
    assert config.HasField("dynamic_batching")
    assert (version.path / "labels.txt").read_text() == "a\nb\nc\nd\n"


def test_labels_of_several_outputs_lie_in_files_of_their_own(
    empty_repository: Repository,
) -> None:
    class Two(nn.Module):
        def forward(self, x: Tensor) -> dict[str, Tensor]:
            return {"animal": x[:, :2], "colour": x[:, 2:], "size": x.sum(1)}

    spec = ModelSpec(
        "two", Two(), {"x": torch.randn(2, 5)}, ["animal", "colour", "size"],
        labels={"animal": ["cat", "dög"], "colour": ["r", "g", "b"]},
    )  # fmt: skip
    export(empty_repository, spec, "torchscript")
    path = newest(empty_repository, "two_torchscript").path
    assert (path / "labels_animal.txt").read_text(encoding="utf-8") == "cat\ndög\n"
    assert (path / "labels_colour.txt").read_text(encoding="utf-8") == "r\ng\nb\n"
    assert not (path / "labels.txt").exists()
    assert label_file_name("animal", 1) == "labels.txt"


def test_other_labels_make_another_version(empty_repository: Repository) -> None:
    for number, labels in enumerate((["a", "b", "c", "d"], ["a", "b", "c", "e"]), start=1):
        spec = ModelSpec(
            "m", models.Linear(), {"x": torch.zeros(2, 8)}, ["y"], labels={"y": labels}
        )
        publication = export(empty_repository, spec, "torchscript").publication
        assert publication is not None
        assert (publication.version, publication.unchanged) == (number, False)


def test_a_models_own_samples_and_tolerances_are_used(empty_repository: Repository) -> None:
    asked = []

    def samples(rows: int, seed: int) -> dict[str, Tensor]:
        asked.append(rows)
        return {"x": torch.rand(rows, 8, generator=torch.Generator().manual_seed(seed))}

    spec = ModelSpec(
        "m", models.Linear(), {"x": torch.zeros(2, 8)}, ["y"],
        samples=samples, tolerances={"y": (0.5, 0.25)},
    )  # fmt: skip
    row = export(empty_repository, spec, "torchscript", most=6).parity.outputs[0]
    assert sum(asked) >= 6
    assert (row.rtol, row.atol, row.batch_sizes) == (0.5, 0.25, (1, 2, 3, 6))


def test_what_differs_is_not_published(empty_repository: Repository) -> None:
    result = export(empty_repository, models.scaled_by_length(), "torchscript")
    assert result.publication is None
    assert not result.parity.passed
    assert "element [" in result.parity.problem
    assert "PyTorch gives" in result.parity.problem
    assert empty_repository.names() == []


def test_progress_is_reported(empty_repository: Repository) -> None:
    reported: list[str] = []
    original = run_original(models.linear(), 4)
    export_model(original, "torchscript", empty_repository, "x", reported.append)
    assert reported == ["linear_torchscript: capturing", "linear_torchscript: publishing"]


def test_versions_follow_the_weights(empty_repository: Repository) -> None:
    found = []
    for seed in (0, 0, 1, 0):
        spec = ModelSpec("m", models.Linear(seed), {"x": torch.randn(2, 8)}, ["y"])
        publication = export(empty_repository, spec, "torchscript").publication
        assert publication is not None
        found.append((publication.version, publication.unchanged))
    assert found == [(1, False), (1, True), (2, False), (3, False)]


def test_standing_batch_limit_is_verified_and_kept(empty_repository: Repository) -> None:
    """A person raised the limit by hand; the next export is verified up to it."""
    export(empty_repository, models.linear(), "onnx", most=4)
    path = empty_repository.config_path("linear_onnx")
    path.write_text(path.read_text().replace("max_batch_size: 4", "max_batch_size: 16"))
    formats = ["onnx", "torchscript"]
    assert largest_served_batch(empty_repository, "linear", formats, 4) == 16
    assert largest_served_batch(empty_repository, "linear", formats, 32) == 32
    assert largest_served_batch(empty_repository, "other", formats, 4) == 4
