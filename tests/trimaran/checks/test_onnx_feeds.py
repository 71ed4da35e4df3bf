"""Inputs that the server feeds, completes or splits, compared with an ONNX file."""

from __future__ import annotations

from pathlib import Path

import pytest
from onnx import TensorProto, helper

from tests.trimaran.checks.judging import found, judged

Axes = list[str | int]
X = 'input { name: "x" data_type: TYPE_FP32 dims: [ 4 ] } '
Y = 'output { name: "y" data_type: TYPE_FP32 dims: [ 4 ] } '
RAGGED = X.replace("dims", "allow_ragged_batch: true dims")
SPLIT = 'batch_output { kind: BATCH_SCATTER_WITH_INPUT_SHAPE target_name: "y" source_input: "x" } '
HEAD = 'backend: "onnxruntime" max_batch_size: 8 '
START = 'name: "start" control { kind: CONTROL_SEQUENCE_START fp32_false_true: [ 0, 1 ] }'
IDENTITY = 'name: "start" control { kind: CONTROL_SEQUENCE_CORRID data_type: TYPE_UINT64 }'
STATE = 'state { input_name: "start" output_name: "%s" data_type: TYPE_FP32 dims: [ 1 ] }'
MADE = 'batch_input { kind: BATCH_ELEMENT_COUNT target_name: "%s" data_type: TYPE_%s %s } '


def controls(*items: str) -> str:
    return "sequence_batching { " + " ".join(f"control_input {{ {i} }}" for i in items) + " } "


def fed(start: Axes | None = None, x: Axes | None = None, dtype: int = 1) -> bytes:
    """An ONNX model of the inputs `x` and `start`, whose output `y` is `x`; axes may be named."""
    shapes = {"x": x or ["n", 4], "start": start or ["n", 1]}
    types = {"x": TensorProto.FLOAT, "start": dtype}
    inputs = [helper.make_tensor_value_info(n, types[n], s) for n, s in shapes.items()]
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, shapes["x"])
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", inputs, [output])
    content: bytes = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10
    ).SerializeToString()
    return content


def errors(config: str, model: bytes, root: Path) -> list[str]:
    findings = found(judged(root, {"m/config.pbtxt": config, "m/1/model.onnx": model}))
    return [sentence for severity, _, _, sentence in findings if severity == "error"]


@pytest.mark.parametrize(
    ("config", "model"),
    [
        (HEAD + X + Y + controls(START), fed()),
        (HEAD + X + Y + controls(IDENTITY), fed(dtype=TensorProto.UINT64)),
        (HEAD + X + Y + controls(START.replace("fp32", "int32")), fed(dtype=TensorProto.INT32)),
        ('backend: "onnxruntime" ' + X + Y + controls(START), fed([1], [4])),
        (HEAD + X + Y + f"sequence_batching {{ {STATE % 'y'} }}", fed()),
        (HEAD + X + Y + MADE % ("start", "FP32", 'source_input: "x"'), fed()),
        (HEAD + X + controls(START), fed()),
        (HEAD + RAGGED + Y + SPLIT + controls(START), fed(x=["n"])),
    ],
)
def test_what_the_server_feeds_need_not_be_declared(
    config: str, model: bytes, tmp_path: Path
) -> None:
    assert errors(config, model, tmp_path) == []


@pytest.mark.parametrize(
    ("config", "model", "said"),
    [
        (X + Y, fed(), "1/model.onnx needs input 'start', which the configuration does not have"),
        (
            X + Y + controls(START, START.replace("start", "end").replace("START", "END")),
            fed(),
            "control input 'end' is not in 1/model.onnx, which has x, start",
        ),
        (
            X + Y + controls(START),
            fed(dtype=TensorProto.INT32),
            "control input 'start' is FP32 but INT32 in 1/model.onnx",
        ),
        (
            X + Y + controls(START),
            fed(["n", 2]),
            "control input 'start' is [2] in 1/model.onnx, and the server feeds one number a row",
        ),
        (
            X + X.replace('"x"', '"start"').replace("4", "1") + Y + controls(START),
            fed(),
            "input 'start' is declared, and the server feeds it as control input",
        ),
        (Y + controls(START), fed(), "so Triton takes all of 1/model.onnx, and 'start' twice"),
        (
            X + Y + f"sequence_batching {{ {STATE % 'z'} }}",
            fed(),
            "output 'z' of a state is not in 1/model.onnx, which has y",
        ),
        (
            X + Y + MADE % ("other", "FP32", 'source_input: "x"') + controls(START),
            fed(),
            "batch_input 'other' is not in 1/model.onnx",
        ),
        (
            X + Y + MADE % ("start", "INT32", 'source_input: "x"'),
            fed(),
            "batch_input 'start' is INT32 but FP32 in 1/model.onnx",
        ),
        (
            RAGGED + Y + controls(START),
            fed(),
            "input 'x' is ragged but [-1, 4] in 1/model.onnx",
        ),
    ],
)
def test_what_the_file_contradicts_is_an_error(
    config: str, model: bytes, said: str, tmp_path: Path
) -> None:
    findings = errors(HEAD + config, model, tmp_path)
    assert len(findings) == 1
    assert said in findings[0]
    assert "; " in findings[0]


NONE = 'backend: "onnxruntime" '
FULL = {tensor: tensor.replace("[ 4 ]", "[ -1, 4 ]") for tensor in (X, Y)}


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (NONE + X, ""),
        (NONE + Y, ""),
        (NONE + X + Y, "input 'x' is [4] but [-1, 4] in 1/model.onnx; make them equal"),
        (NONE + FULL[X] + FULL[Y], ""),
        (NONE + FULL[X], "input 'x' is [-1, 4] but [4] in 1/model.onnx, without the batch axis, "),
        (NONE + FULL[Y], "which Triton adds where inputs or outputs are left out; declare all"),
        (HEAD + FULL[X], "input 'x' is [-1, 4] but [4] in 1/model.onnx, without the batch axis; "),
    ],
)
def test_a_limit_is_completed_where_inputs_or_outputs_are_left_out(
    config: str, said: str, tmp_path: Path
) -> None:
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, ["n", 4]) for n in "xy")
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    findings = errors(config, model.SerializeToString(), tmp_path)
    assert bool(findings) == bool(said)
    assert all(said in one for one in findings[:1])


def test_an_output_that_is_not_declared_may_have_no_batch_axis(tmp_path: Path) -> None:
    x, y, z = (
        helper.make_tensor_value_info(n, TensorProto.FLOAT, s)
        for n, s in {"x": ["n", 4], "y": ["n", 4], "z": [1]}.items()
    )
    nodes = [
        helper.make_node("Relu", ["x"], ["y"]),
        helper.make_node("ReduceMax", ["x"], ["r"], keepdims=0),
        helper.make_node("Reshape", ["r", "one"], ["z"]),
    ]
    one = helper.make_tensor("one", TensorProto.INT64, [1], [1])
    graph = helper.make_graph(nodes, "g", [x], [y, z], [one])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    content = model.SerializeToString()
    assert errors(HEAD + X + Y, content, tmp_path / "declared") == []
    findings = errors(HEAD + X, content, tmp_path / "completed")
    assert [said.partition(",")[0] for said in findings] == [
        "1/model.onnx has 'z' of the fixed shape [1]"
    ]


@pytest.mark.parametrize("backend", ["onnxruntime", "pytorch", "python"])
def test_what_the_container_alone_serves_is_a_warning(backend: str, tmp_path: Path) -> None:
    config = HEAD.replace("onnxruntime", backend) + X + Y + controls(START)
    findings = [f for f in found(judged(tmp_path, {"m/config.pbtxt": config})) if f[0] == "warning"]
    assert [f[2] for f in findings] == (
        [] if backend == "python" else ["sequence_batching.control_input"]
    )
