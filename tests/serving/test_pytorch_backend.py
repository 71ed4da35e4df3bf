"""The stand-in for Triton's `pytorch` backend does what `docs/conformance.md` lists."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from serving.backends.results import as_array, as_values
from serving.backends.signature import Argument, call_order, output_positions
from serving.client import Answer
from tests.running import PROJECT
from tests.serving.hosting import Hosted, Model, hosted, parameter, tensor

BATCH_WHEN_FULL = "dynamic_batching { max_queue_delay_microseconds: 20000000 }\n"
"""Waiting requests go off together as soon as they fill `max_batch_size`."""

WITHOUT_EFFECT = (
    "ENABLE_WEIGHT_SHARING",
    "ENABLE_CACHE_CLEANING",
    "DISABLE_CUDNN",
    "ENABLE_NVFUSER",
)

TYPES = {
    "FP32": np.float32,
    "FP64": np.float64,
    "FP16": np.float16,
    "INT64": np.int64,
    "INT32": np.int32,
    "INT16": np.int16,
    "INT8": np.int8,
    "UINT8": np.uint8,
    "BOOL": np.bool_,
}


class Difference(nn.Module):
    """Two arguments and two results, of which no two may be mistaken for one another."""

    def forward(self, left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
        return left - right, left * 10


class EveryType(nn.Module):
    def forward(
        self,
        a: Tensor,
        b: Tensor,
        c: Tensor,
        d: Tensor,
        e: Tensor,
        f: Tensor,
        g: Tensor,
        h: Tensor,
        i: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
        return a, b, c, d, e, f, g, h, i


class FromDictionary(nn.Module):
    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        return inputs["left"] - inputs["right"]


class Greeting(nn.Module):
    def forward(self, names: list[str]) -> tuple[list[str], Tensor]:
        return ["hello " + name for name in names], torch.tensor([[len(n)] for n in names])


class Lookup(nn.Module):
    """`[batch]` indices into three rows; also, in every row, how many rows the call had."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding.from_pretrained(torch.arange(6.0).reshape(3, 2))

    def forward(self, index: Tensor) -> tuple[Tensor, Tensor]:
        return self.table(index), torch.full([index.size(0), 1], index.size(0))


class State(nn.Module):
    """Whether it runs in inference mode, with gradients, and as if it were being trained."""

    def forward(self, x: Tensor) -> Tensor:
        doubled = x * 2
        return torch.tensor([doubled.is_inference(), torch.is_grad_enabled(), self.training])


class Twice(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * 2


class Transposed(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.transpose(1, 2)


def scripted(module: nn.Module) -> bytes:
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(module), buffer)
    return buffer.getvalue()


def config(*tensors: str, batch: int = 0, more: str = "") -> str:
    return (
        f'backend: "pytorch"\nmax_batch_size: {batch}\n'
        "instance_group { count: 1 kind: KIND_CPU }\n" + "".join(tensors) + more
    )


def model(name: str, module: nn.Module, *tensors: str, batch: int = 8, more: str = "") -> Model:
    return Model(name, config(*tensors, batch=batch, more=more), {"model.pt": scripted(module)})


X, Y = tensor("input", "x", "FP32", [4]), tensor("output", "y__0", "FP32", [4])


def pairs(inputs: Sequence[str], outputs: Sequence[str]) -> list[str]:
    return [tensor("input", name, "FP32", [2]) for name in inputs] + [
        tensor("output", name, "FP32", [2]) for name in outputs
    ]


def served_models() -> list[Model]:
    state = tensor("input", "x", "FP32", [1]), tensor("output", "state__0", "BOOL", [3])
    return [
        model("by_argument", Difference(), *pairs(["right", "left"], ["times__1", "minus__0"])),
        model("by_index", Difference(), *pairs(["x__1", "y__0"], ["times__1", "minus__0"])),
        Model(
            "by_order",
            config(
                *pairs(["first", "y__0"], ["minus", "times__0"]),
                batch=8,
                more='default_model_filename: "weights.pt"\n',
            ),
            {"weights.pt": scripted(Difference())},
        ),
        model(
            "types",
            EveryType(),
            *(tensor("input", f"in_{n}__{i}", n, [2]) for i, n in enumerate(TYPES)),
            *(tensor("output", f"out_{n}__{i}", n, [2]) for i, n in enumerate(TYPES)),
        ),
        model("dictionary", FromDictionary(), *pairs(["right", "left"], ["y__0"])),
        model(
            "strings",
            Greeting(),
            tensor("input", "names", "STRING", [1], []),
            tensor("output", "greeting__0", "STRING", [1], []),
            tensor("output", "length__1", "INT64", [1]),
        ),
        model(
            "lookup",
            Lookup(),
            tensor("input", "index", "INT64", [1], []),
            tensor("output", "row__0", "FP32", [2, 1], [2]),
            tensor("output", "rows__1", "INT64", [1]),
            batch=4,
            more=BATCH_WHEN_FULL,
        ),
        model("state", State(), *state, batch=0),
        model(
            "state_plain", State().eval(), *state, batch=0, more=parameter("INFERENCE_MODE", "0")
        ),
        model(
            "variable",
            Transposed(),
            tensor("input", "x", "FP32", [-1, 2]),
            tensor("output", "y__0", "FP32", [2, -1]),
            more="".join(parameter(name, "true") for name in WITHOUT_EFFECT),
        ),
        model("wrong_type", Twice(), X, tensor("output", "y__0", "FP64", [4])),
    ]


REFUSED = {
    "count": (
        model("count", Twice(), X, tensor("input", "z", "FP32", [4]), Y),
        "unable to load model 'count', configuration expects 2 inputs, model provides 1",
    ),
    "corrupt": (
        Model("corrupt", config(X, Y), {"model.pt": b"not a model"}),
        "failed to load model 'corrupt': ",
    ),
    "no_file": (
        Model("no_file", config(X, Y)),
        "no_file/1/model.pt' for model instance 'no_file'",
    ),
    "unsigned": (
        Model("unsigned", config(tensor("input", "x", "UINT16", [4]), Y)),
        "unsupported datatype TYPE_UINT16 for input 'x' for model 'unsigned'",
    ),
    "unsigned_output": (
        Model("unsigned_output", config(X, tensor("output", "y__0", "UINT64", [4]))),
        "unsupported datatype TYPE_UINT64 for output 'y__0' for model 'unsigned_output'",
    ),
    "string_matrix": (
        Model("string_matrix", config(tensor("input", "x", "STRING", [2]), Y, batch=8)),
        "Triton only supports 1 dimensional List of String as input for 'x' for model "
        "'string_matrix'",
    ),
    "optional": (
        Model(
            "optional",
            config('input { name: "x" data_type: TYPE_FP32 dims: [4] optional: true }\n', Y),
        ),
        "'optional' is set to true for input 'x' while the backend model doesn't support optional",
    ),
    "stateful": (
        Model(
            "stateful",
            config(
                X,
                Y,
                batch=8,
                more='sequence_batching { control_input { name: "START__1" control { kind: '
                "CONTROL_SEQUENCE_START fp32_false_true: [0, 1] } } }\n",
            ),
        ),
        "unable to load model 'stateful', sequence_batching with control_input needs the native",
    ),
    "bad_parameter": (
        model("bad_parameter", Twice(), X, Y, more=parameter("INFERENCE_MODE", "maybe")),
        "failed to convert 'maybe' to boolean",
    ),
}
"""Models that cannot be served, and in which words their loading is refused."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosted]:
    models = [*served_models(), *(model for model, _ in REFUSED.values())]
    with hosted(tmp_path_factory.mktemp("torchscript"), models) as running:
        yield running


def ones(*shape: int) -> np.ndarray:
    return np.ones(shape, np.float32)


@pytest.mark.parametrize("name", REFUSED)
def test_a_configuration_that_does_not_fit_is_refused(server: Hosted, name: str) -> None:
    assert REFUSED[name][1] in server.reason(name)


@pytest.mark.parametrize(
    ("name", "left", "right", "minus", "times"),
    [
        ("by_argument", "left", "right", "minus__0", "times__1"),
        ("by_index", "y__0", "x__1", "minus__0", "times__1"),
        ("by_order", "first", "y__0", "minus", "times__0"),
    ],
)
def test_tensors_are_found_by_argument_by_index_or_by_order(
    server: Hosted, name: str, left: str, right: str, minus: str, times: str
) -> None:
    outputs = server.infer(name, {left: ones(1, 2) * 5, right: ones(1, 2) * 2})
    assert outputs[minus].tolist() == [[3, 3]]
    assert outputs[times].tolist() == [[50, 50]]


def test_every_element_type_comes_back_as_it_went(server: Hosted) -> None:
    arrays = {
        f"in_{name}__{i}": np.array([[0, 1], [2, 100]]).astype(kind)
        for i, (name, kind) in enumerate(TYPES.items())
    }
    outputs = server.infer("types", arrays)
    assert len(outputs) == len(TYPES)
    for name, array in arrays.items():
        answered = outputs[name.replace("in_", "out_")]
        assert answered.dtype == array.dtype
        np.testing.assert_array_equal(answered, array)


def test_inputs_go_into_one_dictionary_where_forward_takes_one(server: Hosted) -> None:
    outputs = server.infer("dictionary", {"left": ones(3, 2) * 5, "right": ones(3, 2)})
    assert outputs["y__0"].tolist() == [[4, 4]] * 3


def test_text_goes_in_and_out_as_lists(server: Hosted) -> None:
    names = np.array([[b"Ada"], ["Jürgen".encode()]], object)
    outputs = server.infer("strings", {"names": names})
    assert outputs["greeting__0"].tolist() == [[b"hello Ada"], ["hello Jürgen".encode()]]
    assert outputs["length__1"].shape == (2, 1)


def test_text_that_is_not_utf8_is_refused(server: Hosted) -> None:
    refusal = server.refusal("strings", {"names": np.array([[b"\xff"]], object)})
    assert "input 'names' holds a value that is not UTF-8" in refusal


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"x": np.ones((1, 4))}, ("data-type is 'FP64'", "expects 'FP32'")),
        ({"x": ones(1, 5)}, ("unexpected shape for input 'x'", "Expected [-1,4], got [1,5]")),
        ({"x": ones(9, 4)}, ("batch-size must be <= 8",)),
        ({"x__0": ones(1, 4)}, ("unexpected inference input 'x__0'",)),
    ],
    ids=["type", "shape", "batch", "name"],
)
def test_a_request_that_does_not_fit_says_what_was_expected(
    server: Hosted, inputs: dict[str, np.ndarray], words: Sequence[str]
) -> None:
    refusal = server.refusal("wrong_type", inputs)
    assert all(word in refusal for word in words), refusal


def test_waiting_requests_become_one_call(server: Hosted) -> None:
    rows_before, executions_before = server.counts("lookup")
    requests = [{"index": np.array([[index]])} for index in (0, 1, 2, 1)]
    for request, answer in zip(requests, server.infer_together("lookup", requests), strict=True):
        assert isinstance(answer, Answer)
        index = int(request["index"][0, 0])
        assert answer.outputs["row__0"].tolist() == [[[2 * index], [2 * index + 1]]]
        assert answer.outputs["rows__1"].tolist() == [[4]]
    rows, executions = server.counts("lookup")
    assert (rows - rows_before, executions - executions_before) == (4, 1)


def test_a_bad_value_fails_alone(server: Hosted) -> None:
    requests = [{"index": np.array([[index]])} for index in (0, 7, 2, 1)]
    first, bad, *rest = server.infer_together("lookup", requests)
    assert isinstance(bad, str)
    assert "PyTorch execute failure: " in bad
    assert "index out of range" in bad
    for answer, index in zip((first, *rest), (0, 2, 1), strict=True):
        assert isinstance(answer, Answer)
        assert answer.outputs["row__0"].tolist() == [[[2 * index], [2 * index + 1]]]


def test_only_requested_outputs_are_answered(server: Hosted) -> None:
    inputs = {"left": ones(1, 2), "right": ones(1, 2)}
    assert server.output_names("by_argument", inputs, ["times__1"]) == ["times__1"]


def test_outputs_come_in_the_order_of_their_names(server: Hosted) -> None:
    inputs = {"left": ones(1, 2), "right": ones(1, 2)}
    assert server.output_names("by_argument", inputs) == ["minus__0", "times__1"]


def test_a_variable_axis_and_a_result_that_is_not_contiguous(server: Hosted) -> None:
    # This model also sets the parameters that say nothing to a process on the CPU.
    for length in (1, 3):
        x = np.arange(length * 4, dtype=np.float32).reshape(2, length, 2)
        y = server.infer("variable", {"x": x})["y__0"]
        np.testing.assert_array_equal(y, x.transpose(0, 2, 1))


@pytest.mark.parametrize(
    ("name", "inference", "training"), [("state", True, True), ("state_plain", False, False)]
)
def test_inference_mode_and_training_are_as_configured_and_saved(
    server: Hosted, name: str, inference: bool, training: bool
) -> None:
    found = server.infer(name, {"x": ones(1)})["state__0"].tolist()
    assert found == [inference, False, training]


def test_a_model_without_batching_takes_its_full_shape(server: Hosted) -> None:
    assert "Expected [1], got [1,1]" in server.refusal("state", {"x": ones(1, 1)})


def test_the_file_may_have_another_name(server: Hosted) -> None:
    outputs = server.infer("by_order", {"first": ones(1, 2), "y__0": ones(1, 2)})
    assert outputs["times__0"].tolist() == [[10, 10]]


def test_a_result_that_does_not_fit_fails_the_request(server: Hosted) -> None:
    assert (
        "configuration expects datatype TYPE_FP64 for output 'y__0', model provides TYPE_FP32"
    ) in server.refusal("wrong_type", {"x": ones(1, 4)})


@pytest.mark.parametrize(
    ("position", "data_type", "value", "words"),
    [
        (0, "TYPE_FP64", torch.ones(1), "expects datatype TYPE_FP64 for output 'y__0', model"),
        (0, "TYPE_FP32", torch.ones(1, dtype=torch.bfloat16), "model provides TYPE_BF16"),
        (0, "TYPE_FP32", ["text"], "model provides TYPE_STRING"),
        (1, "TYPE_FP32", torch.ones(1), "an output index which doesn't exist. This model has 1"),
        (0, "TYPE_FP32", torch.tensor(1.0), "output 'y__0' is a scalar which is not supported"),
    ],
    ids=["type", "unserved type", "text", "index", "scalar"],
)
def test_results_that_are_not_what_was_configured(
    position: int, data_type: str, value: object, words: str
) -> None:
    item = {"name": "y__0", "data_type": data_type}
    with pytest.raises(ValueError, match=words):
        as_array(item, position, as_values(value))


@pytest.mark.parametrize("value", [[torch.ones(1)], {"y": torch.ones(1)}, 1.0])
def test_results_that_cannot_be_served(value: object) -> None:
    with pytest.raises(TypeError, match=r"output must be of type Tensor, List\[str\] or Tuple"):
        as_values(value)
    with pytest.raises(TypeError, match="output at index 1 must be of type Tensor"):
        as_values((torch.ones(1), value))


def test_completion_is_not_supported(server: Hosted) -> None:
    bare = Model("bare", config(batch=4), {"model.pt": scripted(Twice())})
    assert "at least one output" in server.load_refusal(bare)


def named(inputs: Sequence[str], outputs: Sequence[str] = ()) -> dict[str, object]:
    """A configuration in Triton's JSON form with tensors of these names."""
    return {
        "name": "m",
        "input": [{"name": name} for name in inputs],
        "output": [{"name": name} for name in outputs],
    }


def arguments(*kinds: str) -> list[Argument]:
    return [Argument(f"arg{index}", kind, kind) for index, kind in enumerate(kinds)]


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        (["arg1", "arg0"], ["arg0", "arg1"]),
        (["a__1", "b__0"], ["b__0", "a__1"]),
        (["arg1", "b__0"], ["arg1", "b__0"]),
        (["a__1", "b__x"], ["a__1", "b__x"]),
        (["a__1__0", "b__1"], ["a__1__0", "b__1"]),
    ],
)
def test_the_order_of_a_call(inputs: Sequence[str], expected: Sequence[str]) -> None:
    assert call_order(named(inputs), arguments("TensorType", "ListType")) == expected


@pytest.mark.parametrize(
    ("inputs", "kinds", "words"),
    [
        (["a__0", "b__2"], ("TensorType", "TensorType"), "do not have the indices 0 to 1"),
        (["a"], ("FloatType",), "An input of type 'FloatType' was detected in the model"),
        (["a", "b"], ("DictType", "DictType"), "Multiple inputs of kind DictType were detected"),
        ([], ("DictType",), "must contain at least one input, none were specified"),
    ],
)
def test_calls_that_cannot_be_made(inputs: Sequence[str], kinds: Sequence[str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        call_order(named(inputs), arguments(*kinds))


@pytest.mark.parametrize(
    ("outputs", "expected"),
    [
        (["b__1", "a__0"], {"b__1": 1, "a__0": 0}),
        (["b__1", "a"], {"b__1": 0, "a": 1}),
    ],
)
def test_the_places_of_outputs(outputs: Sequence[str], expected: dict[str, int]) -> None:
    assert output_positions(named([], outputs)) == expected


def test_settings_of_the_process_follow_the_parameters() -> None:
    parameters = {
        "INTRA_OP_THREAD_COUNT": "3",
        "INTER_OP_THREAD_COUNT": "2",
        "DISABLE_OPTIMIZED_EXECUTION": "on",
        "ENABLE_TENSOR_FUSER": "false",
        "ENABLE_JIT_EXECUTOR": "false",
        "ENABLE_JIT_PROFILING": "false",
    }
    given = {key: {"string_value": value} for key, value in parameters.items()}
    program = f"""
import json, torch
from serving.backends import torch_settings
torch_settings.apply({{"instance_group": [], "parameters": {given!r}}})
print(json.dumps([
    torch.get_num_threads(),
    torch.get_num_interop_threads(),
    torch._C._get_graph_executor_optimize(),
    torch._C._jit_texpr_fuser_enabled(),
    torch._C._jit_set_profiling_executor(True),
    torch._C._jit_set_profiling_mode(True),
]))
"""
    found = subprocess.run(
        [sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert json.loads(found.stdout) == [3, 2, False, False, False, False]
