"""A configuration is completed from the model, as Triton's `onnxruntime` backend does it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.trimaran.serving.backends.onnx_models import (
    ONNX_BACKENDS,
    X,
    Y,
    double,
    ones,
    onnx_model,
)
from tests.trimaran.serving.hosting import Hosted, Model, hosted

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


@pytest.fixture(scope="module", params=ONNX_BACKENDS)
def completing(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Hosted]:
    """A server that completes configurations, as Triton does unless an option forbids it."""
    with hosted(tmp_path_factory.mktemp("completing"), COMPLETED, request.param) as running:
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
