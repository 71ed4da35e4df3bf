"""The stand-ins for the `onnxruntime` backend answer as NVIDIA's does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from onnx import TensorProto, helper

from tests.trimaran.serving.backends.onnx_models import (
    BATCH_WHEN_FULL,
    NUMBERS,
    ONNX_BACKENDS,
    X,
    Y,
    config,
    counted,
    double,
    every_type,
    external_weights,
    graph,
    lookup,
    ones,
    onnx_model,
    replaceable,
    threads,
    transposed_product,
    value,
    variant,
)
from tests.trimaran.serving.hosting import Hosted, Model, hosted, parameter, tensor
from trimaran.serving.client import Answer
from trimaran.serving.runtime import OnnxBackend


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
        onnx_model(
            "zeros",
            config(tensor("input", "count", "INT64", [1]), tensor("output", "y", "FP32", [-1])),
            graph(
                [helper.make_node("ConstantOfShape", ["count"], ["y"])],
                [value("count", (1,), TensorProto.INT64)],
                [value("y", (None,))],
            ),
        ),
    ]


@pytest.fixture(scope="module", params=ONNX_BACKENDS)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Hosted]:
    with hosted(tmp_path_factory.mktemp("onnx"), served_models(), request.param) as running:
        yield running


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


def test_text_may_be_any_bytes_in_c_and_is_utf8_in_python(server: Hosted) -> None:
    arrays = {f"in_{name}": np.zeros((1, 2), kind) for name, (_, kind) in NUMBERS.items()}
    arrays["in_BOOL"] = np.zeros((1, 2), bool)
    arrays["in_STRING"] = np.array([[b"fine", b"\xff\xfe"]], object)
    if server.onnx_backend is OnnxBackend.native:
        assert server.infer("types", arrays)["out_STRING"].tolist() == [[b"fine", b"\xff\xfe"]]
    else:
        words = "input 'in_STRING' holds a value that is not UTF-8"
        assert words in server.refusal("types", arrays)


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
    if server.onnx_backend is OnnxBackend.native:  # what Python stubs refuse, they count themselves
        (statistics,) = server.control.statistics("lookup")
        counted = statistics["inference_stats"]
        assert [int(counted[name]["count"]) for name in ("success", "fail")] == [3, 1]


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


def test_a_tensor_may_be_empty_or_come_in_many_pieces(server: Hosted) -> None:
    assert server.infer("counted", {"x": ones(4, 0)})["y"].shape == (4, 0)
    x = np.arange(4 * 300_000, dtype=np.float32).reshape(4, -1)  # more than one read of a socket
    np.testing.assert_array_equal(server.infer("counted", {"x": x})["y"], x + x)


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
    for name in ("plain", "sequential", "parallel"):
        server.infer(name, {"x": ones(1, 4)})  # the first request starts one more
    plain = server.threads("plain")
    assert server.threads("sequential") - plain == 2
    assert server.threads("parallel") - plain == 2 + 3


def test_memory_parameters_and_those_for_gpus_leave_answers_as_they_are(server: Hosted) -> None:
    assert server.infer("parallel", {"x": ones(1, 4)})["y"].tolist() == [[2] * 4]


def test_the_file_may_have_another_name(server: Hosted) -> None:
    assert server.infer("renamed", {"x": ones(1, 4)})["y"].tolist() == [[2] * 4]


def test_the_model_may_be_a_directory_with_its_weights(server: Hosted) -> None:
    assert server.infer("directory", {"x": ones(1, 4)})["y"].tolist() == [[1, 2, 3, 4]]


@pytest.mark.parametrize("count", [10**12, 2**62])
def test_a_request_for_more_memory_than_there_is_fails_alone(server: Hosted, count: int) -> None:
    words = server.refusal("zeros", {"count": np.array([count])})
    assert "while running ConstantOfShape node" in words
    assert server.infer("zeros", {"count": np.array([3])})["y"].tolist() == [0] * 3
