"""An ONNX model that the target container does not read, and weights in other files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from exporters.artifacts import onnx_file
from tests.exporters import model_files as files
from trimaran.repository import target
from trimaran.repository.model_files.onnx_model import externals, find_too_new, nodes, opsets
from trimaran.system.errors import ArtifactError


def model(
    opset: int = 18,
    ir_version: int = 10,
    domains: tuple[tuple[str, int], ...] = (),
    operator: str = "Relu",
) -> onnx.ModelProto:
    made = files.unary(operator, ["N", 4], ["N", 4], opset=opset, ir_version=ir_version)
    made.opset_import.extend(helper.make_opsetid(*item) for item in domains)
    return made


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (model(21), None),
        (model(target.READ_OPSET, target.READ_IR_VERSION), None),
        (model(21, domains=(("", 21), ("ai.onnx.ml", target.READ_ML_OPSET))), None),
        (model(26), "has opset 26, and container 26.06 reads 25 at most"),
        (model(18, domains=(("ai.onnx", 26),)), "has opset 26"),
        (model(26, domains=(("", 18),)), "has opset 26"),
        (model(ir_version=14), "has IR version 14, and container 26.06 reads 13 at most"),
        (model(domains=(("ai.onnx.ml", 6),)), "has opset of ai.onnx.ml 6"),
        (model(21, operator="LpNormalization"), None),
        (model(22, operator="LpNormalization"), "does not support from opset 22 on"),
        (
            model(19, operator="DeformConv"),
            "the operator DeformConv, which container 26.06 does not support",
        ),
    ],
)
def test_unreadable_for_the_container_is_reported(made: onnx.ModelProto, said: str | None) -> None:
    found = find_too_new(made)
    assert found is None if said is None else found is not None and said in found
    assert found is None or "; " in found


def test_functions_and_subgraphs_are_looked_into() -> None:
    inner = helper.make_graph(
        [helper.make_node("TensorScatter", ["a"], ["b"])],
        "inner",
        [],
        [helper.make_tensor_value_info("b", TensorProto.FLOAT, None)],
    )
    outer = model(24)
    outer.graph.node.append(
        helper.make_node("If", ["c"], ["d"], then_branch=inner, else_branch=inner)
    )
    assert "TensorScatter" in (find_too_new(outer) or "")
    function = helper.make_function(
        "mine", "F", ["x"], ["y"], [helper.make_node("Relu", ["x"], ["y"])],
        [helper.make_opsetid("", 26)],
    )  # fmt: skip
    calling = model()
    calling.functions.append(function)
    assert opsets(calling)[""] == 26
    assert len(list(nodes(calling))) == 2
    assert "has opset 26" in (find_too_new(calling) or "")


X = np.ones((2, 3), dtype=np.float32)
Y = X @ np.arange(12, dtype=np.float32).reshape(3, 4)


@pytest.fixture
def staged(tmp_path: Path) -> Path:
    path = tmp_path / "staged"
    path.mkdir()
    return path


def test_weights_are_moved_into_one_file(staged: Path, tmp_path: Path) -> None:
    source = files.write_beside(files.weighted(), tmp_path / "m.onnx")
    artifact = onnx_file.take(source, staged)
    assert [path.name for path in staged.iterdir()] == ["model.onnx"]
    (tmp_path / "weights.bin").unlink()
    np.testing.assert_array_equal(artifact.run({"x": X})["y"], Y)
    np.testing.assert_array_equal(
        onnx_file.take(staged / "model.onnx", staged).run({"x": X})["y"], Y
    )


def test_weights_too_large_for_one_file_lie_next_to_the_graph(staged: Path, tmp_path: Path) -> None:
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
    with pytest.raises(ArtifactError, match=r"'inner' are in '\.\./\.\./etc/passwd', which is no"):
        externals(model, tmp_path / "m.onnx")


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ({"location": ""}, "not a path inside"),
        ({"location": "a\\b"}, "not a path inside"),
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
