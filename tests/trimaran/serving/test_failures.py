"""Requests that a Python model answers with an error are counted, whoever wrote the model."""

from __future__ import annotations

import ast
import queue
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tritonclient.grpc as triton
import urllib3

from tests.running import wait_for
from tests.trimaran.serving.backends.onnx_models import BATCH_WHEN_FULL, config, lookup, onnx_model
from tests.trimaran.serving.hosting import Hosted, Model, hosted, tensor
from trimaran import served
from trimaran.serving.runtime import OnnxBackend

OWN = """
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    {execute}(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        index = pb_utils.get_input_tensor_by_name(request, "index").as_numpy()
        if index[0] == 8:
            raise ValueError("raised")
        if index[0] == 7:
            return pb_utils.InferenceResponse(error=pb_utils.TritonError("answered"))
        return pb_utils.InferenceResponse([pb_utils.Tensor("row", index)])
"""
SLOTS = OWN.replace("class TritonPythonModel:", "class TritonPythonModel:\n    __slots__ = ()\n")
DECOUPLED = """
import triton_python_backend_utils as pb_utils

FINAL = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL

class TritonPythonModel:
    def execute(self, requests):
        for request in requests:
            sender = request.get_response_sender()
            index = pb_utils.get_input_tensor_by_name(request, "index").as_numpy()
            sender.send(pb_utils.InferenceResponse([pb_utils.Tensor("row", index)]))
            if index[0] == 7:
                for _ in range(2):
                    failed = pb_utils.TritonError("answered")
                    sender.send(pb_utils.InferenceResponse(error=failed))
            if not sender.is_cancelled():
                sender.send(flags=FINAL)
"""
GATHER = config(
    tensor("input", "index", "INT64", [1], []),
    tensor("output", "row", "FP32", [2]),
    batch=4,
    more=BATCH_WHEN_FULL,
)


def own(name: str, execute: str) -> Model:
    text = 'backend: "python"\nmax_batch_size: 4\n' + BATCH_WHEN_FULL
    text += tensor("input", "index", "INT64", [1], []) + tensor("output", "row", "INT64", [1], [])
    return Model(name, text, {"model.py": OWN.format(execute=execute).encode()})


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosted]:
    models = [onnx_model("gather", GATHER, lookup()), own("own", "def execute")]
    models.append(own("asynchronous", "async def execute"))
    models.append(
        replace(own("slots", ""), files={"model.py": SLOTS.format(execute="def execute").encode()})
    )
    text = f"{own('decoupled', '').config}model_transaction_policy {{ decoupled: true }}"
    models.append(Model("decoupled", text, {"model.py": DECOUPLED.encode()}))
    with hosted(tmp_path_factory.mktemp("failures"), models, OnnxBackend.python) as running:
        yield running


def failures(server: Hosted, model: str) -> dict[str, int]:
    """Requests that failed, by reason, in a scrape; without reasons of none."""
    ports = server.server.ports
    text = urllib3.request("GET", f"http://{ports.host}:{ports.metrics}/metrics").data.decode()
    name = "(?:nv_inference_request_failure|trimaran_failed_requests_total)"
    found = re.findall(rf'^{name}{{model="{model}",reason="(\w+)",.*}} ([1-9]\d*)$', text, re.M)
    return {reason: int(count) for reason, count in found}


@pytest.mark.parametrize("model", ["gather", "own", "asynchronous", "slots"])
def test_each_request_of_a_batch_that_is_answered_with_an_error_counts(
    server: Hosted, model: str
) -> None:
    before = failures(server, model).get("MODEL", 0)
    answers = server.infer_together(model, [{"index": np.array([[i]])} for i in (0, 7, 2, 7)])
    assert [isinstance(answer, str) for answer in answers] == [False, True, False, True]
    wait_for(lambda: failures(server, model) == {"MODEL": before + 2}, 10, "both are counted")


def test_a_request_to_which_a_decoupled_model_sends_errors_counts_once(server: Hosted) -> None:
    answers: queue.SimpleQueue[bool] = queue.SimpleQueue()
    ports = server.server.ports
    with triton.InferenceServerClient(f"{ports.host}:{ports.grpc}") as client:
        client.start_stream(lambda result, error: answers.put(error is None))
        for index in (0, 7, 7, 2):
            tensor = triton.InferInput("index", [1, 1], "INT64")
            tensor.set_data_from_numpy(np.array([[index]]))
            client.async_stream_infer("decoupled", [tensor])
        found = [answers.get(timeout=30) for _ in range(8)]
        client.stop_stream()
    assert found.count(False) == 4
    wait_for(lambda: failures(server, "decoupled") == {"MODEL": 2}, 10, "both are counted")


def test_requests_for_which_execute_raises_are_counted_by_triton_alone(server: Hosted) -> None:
    before = failures(server, "own")
    server.infer_together("own", [{"index": np.array([[i]])} for i in (0, 8, 2, 3)])
    assert failures(server, "own") == before | {"BACKEND": 4}


def test_every_served_model_counts_and_beats_without_the_embedded_runtime() -> None:
    models = list(Path(served.__file__).parent.glob("*_model.py"))
    assert len(models) > 3
    for path in models:
        (model,) = [
            node
            for node in ast.parse(path.read_text()).body
            if isinstance(node, ast.ClassDef) and node.name == "TritonPythonModel"
        ]
        decorators = [ast.unparse(each) for each in model.decorator_list]
        assert decorators == ["beating", "counted"], path.name
