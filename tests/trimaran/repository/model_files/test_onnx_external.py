"""Weights beside an ONNX file end in one file, or in a directory where they are too large."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from exporters.artifacts import onnx_file
from tests.exporters import model_files as files
from trimaran.repository.model_files.onnx_model import externals
from trimaran.system.errors import ArtifactError

X = np.ones((2, 3), dtype=np.float32)
Y = X @ np.arange(12, dtype=np.float32).reshape(3, 4)


@pytest.fixture
def staged(tmp_path: Path) -> Path:
    path = tmp_path / "staged"
    path.mkdir()
    return path


def test_weights_are_brought_into_one_file(staged: Path, tmp_path: Path) -> None:
    source = files.write_beside(files.weighted(), tmp_path / "m.onnx")
    artifact = onnx_file.take(source, staged)
    assert [path.name for path in staged.iterdir()] == ["model.onnx"]
    (tmp_path / "weights.bin").unlink()
    np.testing.assert_array_equal(artifact.run({"x": X})["y"], Y)
    np.testing.assert_array_equal(
        onnx_file.take(staged / "model.onnx", staged).run({"x": X})["y"], Y
    )


def test_weights_too_large_for_one_file_lie_beside_the_graph(staged: Path, tmp_path: Path) -> None:
    source = files.write_beside(files.weighted(), tmp_path / "m.onnx", "part.bin")
    model = onnx.load(source, load_external_data=False)
    (tmp_path / "deep").mkdir()
    (tmp_path / "part.bin").rename(tmp_path / "deep" / "part.bin")
    model.graph.initializer[0].external_data[0].value = "deep/part.bin"
    files.write(model, source)
    artifact = onnx_file.take(source, staged, limit=0)
    assert sorted(p.relative_to(staged).as_posix() for p in staged.rglob("*") if p.is_file()) == [
        "model.onnx/deep/part.bin",
        "model.onnx/model.onnx",
    ]
    assert artifact.source["external"] == "deep/part.bin"
    (tmp_path / "deep" / "part.bin").unlink()
    np.testing.assert_array_equal(artifact.run({"x": X})["y"], Y)


def test_weights_are_found_at_any_depth(tmp_path: Path) -> None:
    """In a branch of a condition, where they are attributes of a node."""
    weights = onnx.numpy_helper.from_array(np.ones(3, dtype=np.float32), "inner")
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    weights.external_data.add(key="location", value="../../etc/passwd")
    branch = helper.make_graph(
        [helper.make_node("Constant", [], ["c"], value=weights)],
        "branch",
        [],
        [helper.make_tensor_value_info("c", TensorProto.FLOAT, [3])],
    )
    node = helper.make_node("If", ["x"], ["y"], then_branch=branch, else_branch=branch)
    model = files.onnx_model([node], [("x", TensorProto.BOOL, [])], [("y", TensorProto.FLOAT, [3])])
    with pytest.raises(ArtifactError, match=r"'inner' lie in '\.\./\.\./etc/passwd', which is no"):
        externals(model, tmp_path / "m.onnx")


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ({"location": ""}, "no path inside"),
        ({"location": "a\\b"}, "no path inside"),
        ({"location": "m.onnx"}, "the model itself"),
        ({"location": "w", "offset": "4"}, "has 12 bytes where the model expects 12 from byte 4"),
        ({"location": "w", "offset": "-1"}, "from byte -1"),
        ({"location": "w", "offset": "x"}, "from byte -1"),
        ({"location": "w", "length": "8"}, "the model expects 12"),
    ],
)
def test_places_that_are_none(tmp_path: Path, entries: dict[str, str], said: str) -> None:
    (tmp_path / "w").write_bytes(bytes(12))
    tensor = TensorProto(name="t", data_type=TensorProto.FLOAT, dims=[3])
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=value)
    model = files.onnx_model([], [], [], [tensor])
    files.write(model, tmp_path / "m.onnx")
    with pytest.raises(ArtifactError) as caught:
        externals(model, tmp_path / "m.onnx")
    assert said in str(caught.value)
