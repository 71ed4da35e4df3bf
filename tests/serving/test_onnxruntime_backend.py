"""The stand-in for Triton's `onnxruntime` backend does what `docs/conformance.md` lists."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from serving.backends.session_options import run_options, session_options
from serving.client import Answer
from tests.serving.hosting import Hosted, Model, hosted, parameter, tensor

Shape = Sequence[int | str | None]

BATCH_WHEN_FULL = "dynamic_batching { max_queue_delay_microseconds: 20000000 }\n"
"""Waiting requests go off together as soon as they fill `max_batch_size`."""

NUMBERS = {
    "FP32": (TensorProto.FLOAT, np.float32),
    "FP64": (TensorProto.DOUBLE, np.float64),
    "FP16": (TensorProto.FLOAT16, np.float16),
    "INT64": (TensorProto.INT64, np.int64),
    "INT32": (TensorProto.INT32, np.int32),
    "INT16": (TensorProto.INT16, np.int16),
    "INT8": (TensorProto.INT8, np.int8),
    "UINT64": (TensorProto.UINT64, np.uint64),
    "UINT32": (TensorProto.UINT32, np.uint32),
    "UINT16": (TensorProto.UINT16, np.uint16),
    "UINT8": (TensorProto.UINT8, np.uint8),
}


def value(name: str, shape: Shape, kind: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def graph(
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[onnx.ValueInfoProto],
    outputs: Sequence[onnx.ValueInfoProto],
    weights: dict[str, np.ndarray] | None = None,
) -> onnx.ModelProto:
    initializers = [numpy_helper.from_array(array, name) for name, array in (weights or {}).items()]
    body = helper.make_graph(nodes, "graph", inputs, outputs, initializers)
    return helper.make_model(body, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def double(shape: Shape = (None, 4)) -> onnx.ModelProto:
    """`y = x + x`."""
    node = helper.make_node("Add", ["x", "x"], ["y"])
    return graph([node], [value("x", shape)], [value("y", shape)])


def counted() -> onnx.ModelProto:
    """`y = x + x`, and in every row of `rows` how many rows the call had."""
    nodes = [
        helper.make_node("Add", ["x", "x"], ["y"]),
        helper.make_node("Shape", ["x"], ["size"], start=0, end=1),
        helper.make_node("Expand", ["size", "size"], ["rows"]),
    ]
    outputs = [value("y", (None, None)), value("rows", (None,), TensorProto.INT64)]
    return graph(nodes, [value("x", (None, None))], outputs)


def lookup() -> onnx.ModelProto:
    """`[batch]` indices into three rows; any other index fails."""
    table = np.arange(6, dtype=np.float32).reshape(3, 2)
    node = helper.make_node("Gather", ["table", "index"], ["row"])
    return graph(
        [node],
        [value("index", (None,), TensorProto.INT64)],
        [value("row", (None, 2))],
        {"table": table},
    )


def every_type() -> onnx.ModelProto:
    kinds = {name: kind for name, (kind, _) in NUMBERS.items()}
    kinds |= {"BOOL": TensorProto.BOOL, "STRING": TensorProto.STRING}
    return graph(
        [helper.make_node("Identity", [f"in_{name}"], [f"out_{name}"]) for name in kinds],
        [value(f"in_{name}", (None, 2), kind) for name, kind in kinds.items()],
        [value(f"out_{name}", (None, 2), kind) for name, kind in kinds.items()],
    )


def replaceable() -> onnx.ModelProto:
    """`y = x + bias`, where an input may stand in for the initializer `bias`."""
    return graph(
        [helper.make_node("Add", ["x", "bias"], ["y"])],
        [value("x", (2,)), value("bias", (2,))],
        [value("y", (2,))],
        {"bias": np.array([10, 20], np.float32)},
    )


def transposed_product() -> onnx.ModelProto:
    """A product that optimization fuses with the transposition before it, and that can fail."""
    nodes = [
        helper.make_node("Transpose", ["x"], ["turned"], perm=[1, 0]),
        helper.make_node("MatMul", ["turned", "w"], ["y"]),
    ]
    inputs = [value("x", (None, None)), value("w", (None, None))]
    return graph(nodes, inputs, [value("y", (None, None))])


def external_weights() -> dict[str, bytes]:
    """`y = x + bias` as a directory: the graph, and the weights in a file of their own."""
    bias = np.arange(4, dtype=np.float32)
    model = graph(
        [helper.make_node("Add", ["x", "bias"], ["y"])],
        [value("x", (None, 4))],
        [value("y", (None, 4))],
        {"bias": bias},
    )
    weight = model.graph.initializer[0]
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    entry = weight.external_data.add()
    entry.key, entry.value = "location", "weights.bin"
    return {
        "model.onnx/model.onnx": model.SerializeToString(),
        "model.onnx/weights.bin": bias.tobytes(),
    }


def config(*tensors: str, batch: int = 0, more: str = "") -> str:
    return (
        f'backend: "onnxruntime"\nmax_batch_size: {batch}\n'
        "instance_group { count: 1 kind: KIND_CPU }\n" + "".join(tensors) + more
    )


def onnx_model(name: str, text: str | None, model: onnx.ModelProto) -> Model:
    return Model(name, text, {"model.onnx": model.SerializeToString()})


X, Y = tensor("input", "x", "FP32", [4]), tensor("output", "y", "FP32", [4])


def variant(
    name: str, x: str = X, y: str = Y, batch: int = 8, more: str = "", shape: Shape = (None, 4)
) -> Model:
    """`y = x + x` under a configuration that differs from the plain one in one way."""
    return onnx_model(name, config(x, y, batch=batch, more=more), double(shape))


def threads(intra: int, inter: int, mode: int) -> str:
    return (
        parameter("intra_op_thread_count", intra)
        + parameter("inter_op_thread_count", inter)
        + parameter("execution_mode", mode)
    )


def served_models() -> list[Model]:
    types = [*NUMBERS, "BOOL", "STRING"]
    product = [tensor("input", name, "FP32", [-1, -1]) for name in ("x", "w")]
    product.append(tensor("output", "y", "FP32", [-1, -1]))
    swapped = [tensor("output", name, "FP32", [4]) for name in ("b", "a")]
    several = graph(
        [helper.make_node("Identity", ["x"], [name]) for name in "abc"],
        [value("x", (None, 4))],
        [value(name, (None, 4)) for name in "abc"],
    )
    rows = tensor("output", "rows", "INT64", [1], [])
    first_row = graph(
        [helper.make_node("Compress", ["x", "chosen"], ["y"], axis=0)],
        [value("x", (None, 4))],
        [value("y", (None, 4))],
        {"chosen": np.array([True])},
    )
    folded = tensor("input", "x", "FP32", [2, 2], [4]), tensor("output", "y", "FP32", [4, 1], [4])
    return [
        variant("plain", more=threads(1, 1, 0)),
        variant("sequential", more=threads(3, 4, 0)),
        variant(
            "parallel",
            more=threads(3, 4, 1)
            + parameter("enable_mem_arena", "on")
            + parameter("enable_mem_pattern", "False")
            + parameter("memory.enable_memory_arena_shrinkage", "cpu:0")
            + parameter("session.use_device_allocator_for_initializers", "1")
            + parameter("gpu_mem_limit", "1000")
            + parameter("cudnn_conv_algo_search", "1")
            + 'optimization { execution_accelerators { cpu_execution_accelerator { name: "openvino"'
            '} gpu_execution_accelerator { name: "tensorrt" } } }\n',
        ),
        variant("folded", *folded),
        variant("narrowed", shape=(None, None), y=tensor("output", "y", "FP32", [-1])),
        variant("unbatched", batch=0, shape=(4,)),
        variant(
            "scalar",
            tensor("input", "x", "FP32", [1]),
            tensor("output", "y", "FP32", [1, 1]),
            batch=0,
            shape=(),
        ),
        onnx_model(
            "types",
            config(
                *(tensor("input", f"in_{name}", name, [2]) for name in types),
                *(tensor("output", f"out_{name}", name, [2]) for name in types),
                batch=4,
            ),
            every_type(),
        ),
        onnx_model(
            "counted",
            config(
                tensor("input", "x", "FP32", [-1]),
                tensor("output", "y", "FP32", [-1]),
                rows,
                batch=4,
                more=BATCH_WHEN_FULL,
            ),
            counted(),
        ),
        onnx_model(
            "lookup",
            config(
                tensor("input", "index", "INT64", [1], []),
                tensor("output", "row", "FP32", [2]),
                batch=4,
                more=BATCH_WHEN_FULL,
            ),
            lookup(),
        ),
        onnx_model("several", config(X, *swapped, batch=8), several),
        onnx_model("first_row", config(X, Y, batch=8), first_row),
        onnx_model(
            "replaceable",
            config(
                tensor("input", "x", "FP32", [2]),
                'input { name: "bias" data_type: TYPE_FP32 dims: [2] optional: true }\n',
                tensor("output", "y", "FP32", [2]),
            ),
            replaceable(),
        ),
        onnx_model("fused", config(*product), transposed_product()),
        onnx_model(
            "unfused",
            config(*product, more="optimization { graph { level: 2 } }\n"),
            transposed_product(),
        ),
        Model(
            "renamed",
            config(X, Y, batch=8, more='default_model_filename: "weights.onnx"\n'),
            {"weights.onnx": double().SerializeToString()},
        ),
        Model("directory", config(X, Y, batch=8), external_weights()),
    ]


REFUSED = {
    "input_type": (
        variant("input_type", x=tensor("input", "x", "FP64", [4])),
        "unable to load model 'input_type', configuration expects datatype TYPE_FP64 for input "
        "'x', model provides TYPE_FP32",
    ),
    "output_type": (
        variant("output_type", y=tensor("output", "y", "INT32", [4])),
        "unable to load model 'output_type', configuration expects datatype TYPE_INT32 for output "
        "'y', model provides TYPE_FP32",
    ),
    "input_name": (
        variant("input_name", x=tensor("input", "z", "FP32", [4])),
        "unexpected inference input 'z', allowed inputs are: x",
    ),
    "output_name": (
        variant("output_name", y=tensor("output", "z", "FP32", [4])),
        "unexpected inference output 'z', allowed outputs are: y",
    ),
    "input_count": (
        variant("input_count", x=X + tensor("input", "z", "FP32", [4])),
        "unable to load model 'input_count', configuration expects 2 inputs, model provides 1",
    ),
    "input_shape": (
        variant("input_shape", x=tensor("input", "x", "FP32", [5])),
        "model 'input_shape', tensor 'x': the model expects 2 dimensions (shape [-1,4]) but the "
        "model configuration specifies 2 dimensions (an initial batch dimension because "
        "max_batch_size > 0 followed by the explicit tensor shape, making complete shape [-1,5])",
    ),
    "input_rank": (
        variant("input_rank", x=tensor("input", "x", "FP32", [4]), batch=0),
        "model 'input_rank', tensor 'x': the model expects 2 dimensions (shape [-1,4]) but the "
        "model configuration specifies 1 dimensions (shape [4])",
    ),
    "open_input": (
        variant("open_input", x=tensor("input", "x", "FP32", [-1])),
        "making complete shape [-1,-1])",
    ),
    "fixed_output": (
        variant("fixed_output", shape=(None, None)),
        "model 'fixed_output', tensor 'y': the model expects 2 dimensions (shape [-1,-1])",
    ),
    "fixed_batch": (
        variant("fixed_batch", shape=(8, 4)),
        "model 'fixed_batch', tensor 'x': for the model to support batching the shape should have "
        "at least 1 dimension and the first dimension must be -1; but shape expected by the model "
        "is [8,4]",
    ),
    "scalar_batched": (
        variant("scalar_batched", x=tensor("input", "x", "FP32", [1], []), shape=()),
        "at least 1 dimension and the first dimension must be -1; but shape expected by the model "
        "is []",
    ),
    "scalar_dims": (
        variant("scalar_dims", x=tensor("input", "x", "FP32", [2]), batch=0, shape=()),
        "scalar tensor 'x', should only provide 1 in the model configuration when the model "
        "doesn't support batching. Model configuration provided: [2].",
    ),
    "optional_batched": (
        variant(
            "optional_batched",
            x=X + 'input { name: "z" data_type: TYPE_FP32 dims: [4] optional: true }\n',
        ),
        "unable to load model 'optional_batched', optional input 'z' is not supported for models "
        "that support batching",
    ),
    "no_file": (
        Model("no_file", config(X, Y, batch=8)),
        "no_file/1/model.onnx' for model instance 'no_file'",
    ),
    "not_onnx": (
        Model("not_onnx", config(X, Y, batch=8), {"model.onnx": b"not a model"}),
        "onnx runtime error 7: ",
    ),
    "sequence_type": (
        onnx_model(
            "sequence_type",
            config(X, Y, batch=8),
            graph(
                [
                    helper.make_node("Identity", ["x"], ["y"]),
                    helper.make_node("SequenceConstruct", ["x"], ["s"]),
                ],
                [value("x", (None, 4))],
                [
                    value("y", (None, 4)),
                    helper.make_tensor_sequence_value_info("s", TensorProto.FLOAT, None),
                ],
            ),
        ),
        "Unsupported ONNX Type 'ONNX_TYPE_SEQUENCE' for I/O 's', expected 'ONNX_TYPE_TENSOR'.",
    ),
    "ragged": (
        variant(
            "ragged",
            x='input { name: "x" data_type: TYPE_FP32 dims: [-1] allow_ragged_batch: true }\n',
        ),
        "unable to load model 'ragged', allow_ragged_batch needs the native backend",
    ),
    "bad_parameter": (
        variant("bad_parameter", more=parameter("enable_mem_arena", "maybe")),
        "failed to convert 'maybe' to boolean",
    ),
}
"""Models that cannot be served, and in which words their loading is refused."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosted]:
    models = [*served_models(), *(model for model, _ in REFUSED.values())]
    with hosted(tmp_path_factory.mktemp("onnx"), models) as running:
        yield running


def ones(*shape: int) -> np.ndarray:
    return np.ones(shape, np.float32)


@pytest.mark.parametrize("name", REFUSED)
def test_a_configuration_that_contradicts_the_model_is_refused(server: Hosted, name: str) -> None:
    assert REFUSED[name][1] in server.reason(name)


def test_every_element_type_comes_back_as_it_went(server: Hosted) -> None:
    arrays = {
        f"in_{name}": np.array([[0, 1], [2, 100]], kind) for name, (_, kind) in NUMBERS.items()
    }
    arrays["in_BOOL"] = np.array([[True, False], [False, True]])
    arrays["in_STRING"] = np.array([[b"", b"plain"], ["Übermut".encode(), b"b'quoted'"]], object)
    outputs = server.infer("types", arrays)
    assert len(outputs) == len(NUMBERS) + 2
    for name, array in arrays.items():
        answered = outputs[name.replace("in_", "out_")]
        assert answered.dtype == array.dtype
        np.testing.assert_array_equal(answered, array)


def test_text_that_is_not_utf8_is_refused(server: Hosted) -> None:
    arrays = {f"in_{name}": np.zeros((1, 2), kind) for name, (_, kind) in NUMBERS.items()}
    arrays["in_BOOL"] = np.zeros((1, 2), bool)
    arrays["in_STRING"] = np.array([[b"fine", b"\xff\xfe"]], object)
    assert "input 'in_STRING' holds a value that is not UTF-8" in server.refusal("types", arrays)


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"x": np.ones((1, 4))}, ("data-type is 'FP64'", "expects 'FP32'")),
        ({"x": ones(1, 5)}, ("unexpected shape for input 'x'", "Expected [-1,4], got [1,5]")),
        ({"x": ones(4)}, ("unexpected shape for input 'x'", "Expected [-1,4], got [4]")),
        ({"x": ones(9, 4)}, ("batch-size must be <= 8",)),
        ({"z": ones(1, 4)}, ("unexpected inference input 'z'",)),
        ({"x": ones(1, 4), "z": ones(1, 4)}, ("expected 1 inputs but got 2",)),
    ],
    ids=["type", "shape", "rank", "batch", "name", "number"],
)
def test_a_request_that_does_not_fit_says_what_was_expected(
    server: Hosted, inputs: dict[str, np.ndarray], words: Sequence[str]
) -> None:
    refusal = server.refusal("plain", inputs)
    assert all(word in refusal for word in words), refusal


@pytest.mark.parametrize("rows", [1, 3, 8])
def test_a_batch_is_answered_row_by_row(server: Hosted, rows: int) -> None:
    x = np.arange(rows * 4, dtype=np.float32).reshape(rows, 4)
    np.testing.assert_array_equal(server.infer("plain", {"x": x})["y"], x + x)


def test_waiting_requests_become_one_call(server: Hosted) -> None:
    rows_before, executions_before = server.counts("counted")
    requests = [{"x": np.full((1, 3), i, np.float32)} for i in range(4)]
    answers = server.infer_together("counted", requests)
    for request, answer in zip(requests, answers, strict=True):
        assert isinstance(answer, Answer)
        np.testing.assert_array_equal(answer.outputs["y"], request["x"] * 2)
        assert answer.outputs["rows"].tolist() == [[4]]
    rows, executions = server.counts("counted")
    assert (rows - rows_before, executions - executions_before) == (4, 1)


def test_batches_of_several_rows_are_joined_and_split(server: Hosted) -> None:
    requests = [{"x": np.full((count, 2), count, np.float32)} for count in (1, 3)]
    one, three = server.infer_together("counted", requests)
    assert isinstance(one, Answer)
    assert isinstance(three, Answer)
    assert one.outputs["y"].tolist() == [[2, 2]]
    assert three.outputs["y"].tolist() == [[6, 6]] * 3
    assert three.outputs["rows"].tolist() == [[4]] * 3


def test_a_bad_value_fails_alone(server: Hosted) -> None:
    requests = [{"index": np.array([[index]])} for index in (0, 7, 2, 1)]
    first, bad, *rest = server.infer_together("lookup", requests)
    assert isinstance(bad, str)
    assert "onnx runtime error 2: " in bad
    assert "while running Gather node" in bad
    for answer, row in zip((first, *rest), ([0, 1], [4, 5], [2, 3]), strict=True):
        assert isinstance(answer, Answer)
        assert answer.outputs["row"].tolist() == [row]


def test_a_model_that_loses_rows_is_not_answered_with_wrong_ones(server: Hosted) -> None:
    assert server.infer("first_row", {"x": ones(1, 4)})["y"].tolist() == [[1] * 4]
    refusal = server.refusal("first_row", {"x": ones(2, 4)})
    assert "failed to split the output tensor 'y' in responses" in refusal
    assert "expected batch size of 2" in refusal


def test_a_reshape_stands_between_clients_and_the_model(server: Hosted) -> None:
    x = np.arange(8, dtype=np.float32).reshape(2, 2, 2)
    y = server.infer("folded", {"x": x})["y"]
    np.testing.assert_array_equal(y, (x + x).reshape(2, 4, 1))


@pytest.mark.parametrize("length", [1, 4, 9])
def test_an_axis_of_the_model_may_be_fixed_for_the_input_alone(server: Hosted, length: int) -> None:
    if length == 4:
        assert server.infer("narrowed", {"x": ones(1, 4)})["y"].tolist() == [[2] * 4]
    else:
        assert "Expected [-1,4]" in server.refusal("narrowed", {"x": ones(1, length)})


def test_a_variable_axis_takes_any_length(server: Hosted) -> None:
    for length in (1, 5):
        y = server.infer("counted", {"x": ones(4, length)})["y"]
        assert y.shape == (4, length)


def test_only_requested_outputs_are_answered(server: Hosted) -> None:
    assert server.output_names("several", {"x": ones(1, 4)}, ["b"]) == ["b"]


def test_outputs_come_in_the_order_of_their_names(server: Hosted) -> None:
    assert server.output_names("several", {"x": ones(1, 4)}) == ["a", "b"]


def test_a_model_without_batching_takes_its_full_shape(server: Hosted) -> None:
    assert server.infer("unbatched", {"x": ones(4)})["y"].tolist() == [2] * 4
    assert "Expected [4], got [1,4]" in server.refusal("unbatched", {"x": ones(1, 4)})


def test_a_scalar_takes_the_shape_of_the_configuration(server: Hosted) -> None:
    assert server.infer("scalar", {"x": ones(1)})["y"].tolist() == [[2]]


def test_an_optional_input_stands_in_for_an_initializer(server: Hosted) -> None:
    x = ones(2)
    assert server.infer("replaceable", {"x": x})["y"].tolist() == [11, 21]
    assert server.infer("replaceable", {"x": x, "bias": x})["y"].tolist() == [2, 2]


@pytest.mark.parametrize(("name", "node"), [("fused", "FusedMatMul"), ("unfused", "MatMul")])
def test_the_graph_level_decides_about_fusions(server: Hosted, name: str, node: str) -> None:
    assert server.infer(name, {"x": ones(2, 3), "w": ones(2, 1)})["y"].tolist() == [[2]] * 3
    refusal = server.refusal(name, {"x": ones(2, 3), "w": ones(5, 1)})
    assert f"while running {node} node" in refusal


def test_threads_are_as_many_as_the_parameters_say(server: Hosted) -> None:
    plain = server.threads("plain")
    assert server.threads("sequential") - plain == 2
    assert server.threads("parallel") - plain == 2 + 3


def test_memory_parameters_and_those_for_gpus_leave_answers_as_they_are(server: Hosted) -> None:
    assert server.infer("parallel", {"x": ones(1, 4)})["y"].tolist() == [[2] * 4]


def test_the_file_may_have_another_name(server: Hosted) -> None:
    assert server.infer("renamed", {"x": ones(1, 4)})["y"].tolist() == [[2] * 4]


def test_the_model_may_be_a_directory_with_its_weights(server: Hosted) -> None:
    assert server.infer("directory", {"x": ones(1, 4)})["y"].tolist() == [[1, 2, 3, 4]]


COMPLETED = [
    Model("bare", None, {"model.onnx": double().SerializeToString()}),
    onnx_model("limited", 'backend: "onnxruntime" max_batch_size: 16', double()),
    onnx_model("single", 'backend: "onnxruntime" max_batch_size: 1', double()),
    onnx_model(
        "delayed",
        'platform: "onnxruntime_onnx" dynamic_batching { max_queue_delay_microseconds: 7 }',
        double(),
    ),
    onnx_model("outputs", f'backend: "onnxruntime" max_batch_size: 2 {X}', double((None, None))),
    onnx_model("given", f'platform: "onnxruntime_onnx" max_batch_size: 2 {X} {Y}', double()),
    onnx_model("row", 'backend: "onnxruntime"', double((None,))),
    onnx_model("fixed", 'backend: "onnxruntime"', double((2, 4))),
    onnx_model("number", 'backend: "onnxruntime"', double(())),
    onnx_model("unable", 'backend: "onnxruntime" max_batch_size: 4', double((2, 4))),
]


@pytest.fixture(scope="module")
def completing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosted]:
    """A server that completes configurations, as Triton does unless it is told not to."""
    with hosted(tmp_path_factory.mktemp("completing"), COMPLETED) as running:
        yield running


def summary(config: dict[str, Any]) -> tuple[int, bool, list[Any], list[Any]]:
    """The batch limit, whether batching is dynamic, and dims or reshape of inputs and outputs."""
    inputs, outputs = (
        [
            [int(dim) for dim in item.get("reshape", {"shape": item["dims"]})["shape"]]
            for item in config[kind]
        ]
        for kind in ("input", "output")
    )
    return config["max_batch_size"], "dynamic_batching" in config, inputs, outputs


COMPLETIONS = {
    "bare": (4, True, [[4]], [[4]]),
    "limited": (16, True, [[4]], [[4]]),
    "single": (1, False, [[4]], [[4]]),
    "delayed": (4, True, [[4]], [[4]]),
    "outputs": (2, True, [[4]], [[-1]]),
    "given": (2, False, [[4]], [[4]]),
    "row": (4, True, [[]], [[]]),
    "fixed": (0, False, [[2, 4]], [[2, 4]]),
    "number": (0, False, [[1]], [[1]]),
}


@pytest.mark.parametrize("name", COMPLETIONS)
def test_a_configuration_is_completed_from_the_model(completing: Hosted, name: str) -> None:
    found = completing.control.config(name)
    assert summary(found) == COMPLETIONS[name]
    assert (found["backend"], found["platform"]) == ("onnxruntime", "onnxruntime_onnx")
    assert {item["name"] for item in found["input"]} == {"x"}
    assert {item["data_type"] for item in found["input"]} == {"TYPE_FP32"}


def test_completed_models_answer(completing: Hosted) -> None:
    assert completing.infer("bare", {"x": ones(4, 4)})["y"].tolist() == [[2] * 4] * 4
    assert completing.infer("row", {"x": ones(2, 1)})["y"].tolist() == [[2], [2]]
    assert completing.infer("number", {"x": ones(1)})["y"].tolist() == [2]


def test_completion_keeps_the_given_queue_delay(completing: Hosted) -> None:
    batching = completing.control.config("delayed")["dynamic_batching"]
    assert int(batching["max_queue_delay_microseconds"]) == 7


def test_completion_refuses_a_batch_limit_for_a_model_that_cannot_batch(completing: Hosted) -> None:
    assert (
        "autofill failed for model 'unable': model does not support batching while non-zero "
        "max_batch_size is specified"
    ) in completing.reason("unable")


def given(**parameters: str) -> dict[str, Any]:
    """A configuration in Triton's JSON form with these parameters."""
    return {
        "instance_group": [{"count": 1}],
        "parameters": {key: {"string_value": value} for key, value in parameters.items()},
    }


def test_session_options_follow_the_parameters() -> None:
    options = session_options(
        given(
            intra_op_thread_count="3",
            inter_op_thread_count="2",
            execution_mode="1",
            enable_mem_arena="0",
            enable_mem_pattern="OFF",
        )
        | {"optimization": {"graph": {"level": 1}}}
    )
    assert options.intra_op_num_threads == 3
    assert options.inter_op_num_threads == 2
    assert options.execution_mode == onnxruntime.ExecutionMode.ORT_PARALLEL
    assert not options.enable_cpu_mem_arena
    assert not options.enable_mem_pattern


def test_session_options_without_parameters() -> None:
    options = session_options(given(inter_op_thread_count="-1"))
    assert options.inter_op_num_threads == 0
    assert options.execution_mode == onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    assert options.enable_cpu_mem_arena
    assert options.enable_mem_pattern
    assert run_options(given()) is None


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        (-1, "ORT_ENABLE_BASIC"),
        (0, "ORT_ENABLE_ALL"),
        (1, "ORT_ENABLE_EXTENDED"),
        (2, "ORT_DISABLE_ALL"),
        (3, "ORT_ENABLE_ALL"),
    ],
)
def test_graph_levels_mean_what_they_mean_natively(level: int, expected: str) -> None:
    options = session_options(given() | {"optimization": {"graph": {"level": level}}})
    levels = onnxruntime.GraphOptimizationLevel
    assert options.graph_optimization_level == getattr(levels, expected)


def test_memory_entries_reach_onnx_runtime() -> None:
    shrinkage, device = (
        "memory.enable_memory_arena_shrinkage",
        "session.use_device_allocator_for_initializers",
    )
    options = session_options(given(**{device: "1"}))
    assert options.get_session_config_entry(device) == "1"
    assert run_options(given(**{shrinkage: "cpu:0"})).get_run_config_entry(shrinkage) == "cpu:0"


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (given(execution_mode="2"), "execution_mode are 0 or 1 but got 2"),
        (given(intra_op_thread_count="two"), "failed to convert 'two' to integral number"),
        (given(enable_mem_pattern="yes"), "failed to convert 'yes' to boolean"),
        (
            given()
            | {
                "optimization": {
                    "execution_accelerators": {"cpu_execution_accelerator": [{"name": "warp"}]}
                }
            },
            "unknown Execution Accelerator 'warp' is requested",
        ),
    ],
)
def test_values_that_the_native_backend_refuses(config: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        session_options(config)


def test_a_library_of_operators_that_is_not_there_is_refused() -> None:
    config = given() | {"model_operations": {"op_library_filename": ["/nowhere/ops.so"]}}
    with pytest.raises(Exception, match=r"ops\.so"):
        session_options(config)
