"""The stand-ins for the `onnxruntime` backend refuse what NVIDIA's refuses."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from onnx import TensorProto, helper

from tests.trimaran.serving.backends.onnx_models import (
    ONNX_BACKENDS,
    X,
    Y,
    config,
    graph,
    onnx_model,
    value,
    variant,
)
from tests.trimaran.serving.hosting import Hosted, Model, hosted, parameter, tensor

pytestmark = pytest.mark.long

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
        "unable to load model 'ragged', allow_ragged_batch needs NVIDIA's own backend",
    ),
    "controlled": (
        variant(
            "controlled",
            more='sequence_batching { control_input { name: "START" control { kind: '
            "CONTROL_SEQUENCE_START int32_false_true: [0, 1] } } }\n",
        ),
        "sequence_batching with control_input needs NVIDIA's own backend",
    ),
    "bad_number": (
        variant("bad_number", more=parameter("intra_op_thread_count", "4x")),
        "failed to convert '4x' to integral number",
    ),
    "bad_mode": (
        variant("bad_mode", more=parameter("execution_mode", 2)),
        "execution_mode are 0 or 1 but got 2",
    ),
    "bad_accelerator": (
        variant(
            "bad_accelerator",
            more='optimization { execution_accelerators { cpu_execution_accelerator { name: "warp" '
            "} } }\n",
        ),
        "unknown Execution Accelerator 'warp' is requested",
    ),
    "no_library": (
        variant("no_library", more='model_operations { op_library_filename: "/nowhere/ops.so" }\n'),
        "/nowhere/ops.so",
    ),
    "bad_parameter": (
        variant("bad_parameter", more=parameter("enable_mem_arena", "maybe")),
        "failed to convert 'maybe' to boolean",
    ),
}
"""Models that cannot be served, and in which words their loading is refused."""


@pytest.fixture(scope="module", params=ONNX_BACKENDS)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Hosted]:
    models = [model for model, _ in REFUSED.values()]
    with hosted(tmp_path_factory.mktemp("refused"), models, request.param) as running:
        yield running


@pytest.mark.parametrize("name", REFUSED)
def test_a_configuration_that_contradicts_the_model_is_refused(server: Hosted, name: str) -> None:
    assert REFUSED[name][1] in server.reason(name)
