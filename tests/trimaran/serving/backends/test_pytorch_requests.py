"""The stand-in for the `pytorch` backend answers as the native one does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from tests.trimaran.serving.backends.torchscript_models import (
    BATCH_WHEN_FULL,
    TYPES,
    WITHOUT_EFFECT,
    Difference,
    EveryType,
    FromDictionary,
    Greeting,
    Lookup,
    State,
    Transposed,
    Twice,
    X,
    config,
    model,
    ones,
    pairs,
    scripted,
)
from tests.trimaran.serving.hosting import Hosted, Model, hosted, parameter, tensor
from trimaran.serving.client import Answer

BY_INDEX = list(enumerate(TYPES))[::-1]
"""Of each type the index of its tensor, in an order that is not that of the indices."""


def served_models() -> list[Model]:
    state = tensor("input", "x", "FP32", [1]), tensor("output", "state__0", "BOOL", [3])
    return [
        model("by_argument", Difference(), *pairs(["right", "left"], ["times__1", "minus__0"])),
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
            *(tensor("input", f"in_{n}__{i}", n, [2]) for i, n in BY_INDEX),
            *(tensor("output", f"out_{n}__{i}", n, [2]) for i, n in BY_INDEX),
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


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosted]:
    with hosted(tmp_path_factory.mktemp("torchscript"), served_models()) as running:
        yield running


@pytest.mark.parametrize(
    ("name", "left", "right", "minus", "times"),
    [
        ("by_argument", "left", "right", "minus__0", "times__1"),
        ("by_order", "first", "y__0", "minus", "times__0"),
    ],
)
def test_tensors_are_found_by_argument_or_by_order(
    server: Hosted, name: str, left: str, right: str, minus: str, times: str
) -> None:
    outputs = server.infer(name, {left: ones(1, 2) * 5, right: ones(1, 2) * 2})
    assert outputs[minus].tolist() == [[3, 3]]
    assert outputs[times].tolist() == [[50, 50]]


def test_tensors_of_every_element_type_are_found_by_index(server: Hosted) -> None:
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
