"""INT8 by ONNX Runtime's quantiser: static, dynamic, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

from exporters.export import Options, export_model
from exporters.formats.exporter import ExportError
from exporters.formats.onnx import OnnxExporter
from exporters.original import Original, run_original
from exporters.parity import Arrays
from exporters.precision.int8 import (
    Int8OnnxExporter,
    calibration_batches,
    measures_whole_batches,
    read_rows,
    takes_scales_per_channel,
)
from exporters.precision.reference import Reference, reference_for
from exporters.spec import ModelSpec
from tests import models
from tests.exporters.quadrants import quadrants, samples
from tests.trimaran.calling import call_trimaran
from trimaran.repository import target
from trimaran.repository.repository import Repository

FACTORY = "tests/exporters/quadrants.py:quadrants"


@pytest.fixture(scope="module")
def original() -> Original:
    return run_original(quadrants(), 4)


@pytest.fixture(scope="module")
def reference(original: Original) -> Iterator[Reference]:
    with reference_for(original) as shared:
        yield shared


def static(reference: Reference, **options: bool) -> Int8OnnxExporter:
    batches = calibration_batches(reference.original, None)
    return Int8OnnxExporter(reference, "static", batches, **options)


def test_static_is_a_graph_that_the_container_reads(reference: Reference, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    exporter = static(reference)
    ways = exporter.captures(reference.original.spec, path)
    assert next(ways) == "int8 static"
    model = onnx.load(path)
    onnx.checker.check_model(model)
    assert [item.domain for item in model.opset_import] == [""]
    assert exporter.target(path)["opset"] == target.ONNX_OPSET
    assert not model.metadata_props
    kinds = {node.op_type for node in model.graph.node}
    assert {"QuantizeLinear", "DequantizeLinear", "Conv"} <= kinds
    assert not measures_whole_batches(model)
    int8 = [t for t in model.graph.initializer if t.data_type == onnx.TensorProto.INT8]
    assert int8
    scales = [t for t in model.graph.initializer if t.name.endswith("weight_scale")]
    assert 16 in [t.dims[0] for t in scales if t.dims]
    first = path.read_bytes()
    assert next(static(reference).captures(reference.original.spec, path)) == "int8 static"
    assert path.read_bytes() == first


def test_more_and_more_of_the_first_nodes_stay_in_fp32(
    reference: Reference, tmp_path: Path
) -> None:
    path = tmp_path / "model.onnx"
    nodes = len(onnx.load(reference.fp32_artifact(OnnxExporter())).graph.node)
    pairs = []
    for way in static(reference).captures(reference.original.spec, path):
        count = sum(node.op_type == "QuantizeLinear" for node in onnx.load(path).graph.node)
        pairs.append((way, count))
    ways = [way for way, _ in pairs]
    assert ways[0] == "int8 static"
    assert ways[-1] == f"int8 static, {nodes // 2} of {nodes} nodes in FP32"
    assert pairs[0][1] > pairs[-1][1] > 0


def test_tensorrt_gets_symmetric_scales(reference: Reference, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    next(static(reference, for_tensorrt=True).captures(reference.original.spec, path))
    model = onnx.load(path)
    points = [t for t in model.graph.initializer if t.name.endswith("zero_point")]
    assert points
    for point in points:
        assert point.data_type == onnx.TensorProto.INT8
        assert not onnx.numpy_helper.to_array(point).any()


def test_dynamic_is_refused_where_rows_are_batched(
    empty_repository: Repository, reference: Reference
) -> None:
    with pytest.raises(ExportError) as refused:
        export_model(
            reference.original, "onnx", empty_repository, "tests",
            options=Options("int8", "dynamic"), reference=reference,
        )  # fmt: skip
    assert str(refused.value) == (
        "model quadrants: dynamic int8 measures one range over a whole batch, so that rows change "
        "one another's answers; use --int8 static, or --max-batch-size 1"
    )
    assert empty_repository.names() == []


def test_dynamic_is_for_rows_alone_which_really_influence_one_another(
    empty_repository: Repository,
) -> None:
    alone = run_original(quadrants(), 1)
    options = Options("int8", "dynamic")
    result = export_model(alone, "onnx", empty_repository, "tests", options=options)
    assert result.capture == "int8 dynamic"
    assert result.publication is not None
    path = empty_repository.model("quadrants_onnx_int8") / "1" / "model.onnx"
    assert measures_whole_batches(onnx.load(path))
    run = OnnxExporter().load(path, alone.interface)
    row = samples(1, 5)["image"].numpy()
    together = np.concatenate([row, row * 16])
    one, other = run({"image": row})["logits"][0], run({"image": together})["logits"][0]
    assert np.abs(one - other).max() > 0.01 * np.abs(one).max()


class Stack(nn.Module):
    """A stack of matrices, which has no kernel with a scale per channel."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.weight = nn.Parameter(torch.randn(3, 8, 4))

    def forward(self, x: Tensor) -> Tensor:
        return (x @ self.weight).mean(0)


def test_a_stack_of_matrices_gets_one_scale(empty_repository: Repository) -> None:
    original = run_original(ModelSpec("stack", Stack(), {"x": torch.randn(64, 8)}, ["y"]), 4)
    with reference_for(original) as reference:
        assert not takes_scales_per_channel(onnx.load(reference.fp32_artifact(OnnxExporter())))
        options = Options("int8", required=0.9)
        result = export_model(
            original, "onnx", empty_repository, "tests", options=options, reference=reference
        )
    assert result.publication is not None, result.parity.problem


def test_what_has_nothing_to_quantise_is_refused(empty_repository: Repository) -> None:
    spec = ModelSpec("flip", models.Flip(), {"x": torch.tensor([[True], [False]])}, ["y"])
    with pytest.raises(ExportError) as refused:
        export_model(run_original(spec, 4), "onnx", empty_repository, "t", options=Options("int8"))
    assert str(refused.value) == (
        "model flip has nothing that int8 could compute; export it in fp32"
    )


def rows(**arrays: np.ndarray) -> Callable[[Path], None]:
    return lambda path: np.savez(path, **arrays)


IMAGES = samples(20, 3)["image"].numpy()


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (lambda path: None, "cannot be read as calibration rows: [Errno 2] No such file"),
        (lambda path: path.write_text("no"), "write it with numpy.savez, one array per input"),
        (rows(picture=IMAGES), "has no array 'image'; it needs one per input: image"),
        (rows(image=IMAGES, label=IMAGES), "array 'label' is no input; the inputs are image"),
        (rows(image=IMAGES.astype(np.float64)), "array 'image' is float64; the input is float32"),
        (
            rows(image=IMAGES[:, :1]),
            "array 'image' has shape [20, 1, 8, 8]; the input is [-1, 3, 8, 8], the rows first",
        ),
        (rows(image=IMAGES[:0]), "holds no rows; give 100 or more that the model will meet"),
        (
            rows(image=np.full_like(IMAGES, np.nan)),
            "array 'image' holds numbers that are not finite; leave their rows out",
        ),
    ],
)
def test_calibration_rows_are_checked(
    original: Original, tmp_path: Path, write: Callable[[Path], None], said: str
) -> None:
    path = tmp_path / "rows.npz"
    write(path)
    with pytest.raises(ExportError) as refused:
        read_rows(path, original.interface.inputs)
    assert str(path) in str(refused.value)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.long
def test_given_rows_set_the_ranges(empty_repository: Repository, tmp_path: Path) -> None:
    """Rows of another world make a bad INT8, and the gate says so."""
    path = tmp_path / "rows.npz"
    options = ("--format", "onnx", "--precision", "int8", "--calibration", path)
    export = ("export", FACTORY, *options, "--repository", empty_repository.root)
    np.savez(path, image=IMAGES)
    assert call_trimaran(*export).status == 0
    np.savez(path, image=IMAGES * 1e-3)
    refused = call_trimaran(*export)
    assert refused.status == 1
    assert "quadrants_onnx_int8 was not published: output 'logits': the highest class" in (
        refused.error
    )
    assert "refused: disagrees" in refused.stdout
    assert [v.number for v in empty_repository.versions("quadrants_onnx_int8")] == [1]


def test_the_rows_that_give_the_ranges_are_not_those_that_judge() -> None:
    def numbered(rows: int, seed: int) -> dict[str, Tensor]:
        return {"x": torch.stack([torch.full((rows,), float(seed)), torch.arange(rows)], 1)}

    spec = ModelSpec("line", nn.Linear(2, 2), numbered(2, 0), ["y"], samples=numbered)
    with reference_for(run_original(spec, 4)) as reference:
        judged = distinct(reference.task.batches)
        calibrating = distinct(calibration_batches(reference.original, None))
    assert len(judged) == 256
    assert len(calibrating) == 128
    assert judged.isdisjoint(calibrating)


def distinct(batches: Sequence[Arrays]) -> set[bytes]:
    return {row.tobytes() for batch in batches for row in batch["x"]}


def test_rows_are_given_in_small_batches(original: Original) -> None:
    batches = calibration_batches(original, {"image": IMAGES})
    assert [len(batch["image"]) for batch in batches] == [8, 8, 4]
    own = calibration_batches(original, None)
    assert sum(len(batch["image"]) for batch in own) == 128
    assert all(b["image"].dtype == np.float32 for b in islice(own, 2))
