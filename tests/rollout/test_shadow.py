"""A shadow: what is read of answers in each form, when two agree, and what is kept."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tritonclient.grpc.service_pb2 import InferTensorContents, ModelInferRequest, ModelInferResponse

from trimaran.rollout.shadow.comparing import compared, severity
from trimaran.rollout.shadow.copies import Kind, Message
from trimaran.rollout.shadow.found import Example, Found, read_found
from trimaran.rollout.shadow.reading import FRAME_BYTES, UnreadableError, inputs_of, tensors_of

_HALVES = np.array([[0.5, -0.25]], np.float32)
_LABEL = np.array([["tabby cat"]], object)


def flat() -> Message:
    """As `/generate` answers."""
    found = {"model_name": "m", "model_version": "1", "half": [0.5, -0.25], "label": "tabby cat"}
    return Message(json.dumps(found).encode())


def kserve() -> Message:
    outputs: list[dict[str, Any]] = [
        {"name": "half", "datatype": "FP32", "shape": [1, 2], "data": [0.5, -0.25]},
        {"name": "label", "datatype": "BYTES", "shape": [1, 1], "data": ["tabby cat"]},
    ]
    return Message(json.dumps({"model_name": "m", "outputs": outputs}).encode())


def binary() -> Message:
    word = b"tabby cat"
    contents = [_HALVES.tobytes(), len(word).to_bytes(4, "little") + word]
    outputs = [
        {
            "name": name,
            "datatype": kind,
            "shape": shape,
            "parameters": {"binary_data_size": len(of)},
        }
        for (name, kind, shape), of in zip(
            (("half", "FP32", [1, 2]), ("label", "BYTES", [1, 1])), contents, strict=True
        )
    ]
    header = json.dumps({"model_name": "m", "outputs": outputs}).encode()
    return Message(header + b"".join(contents), len(header))


def call(*, raw: bool) -> Message:
    response = ModelInferResponse(model_name="m")
    half = response.outputs.add(name="half", datatype="FP32", shape=[1, 2])
    label = response.outputs.add(name="label", datatype="BYTES", shape=[1, 1])
    if raw:
        response.raw_output_contents.extend(
            [_HALVES.tobytes(), (9).to_bytes(4, "little") + b"tabby cat"]
        )
    else:
        half.contents.CopyFrom(InferTensorContents(fp32_contents=[0.5, -0.25]))
        label.contents.CopyFrom(InferTensorContents(bytes_contents=[b"tabby cat"]))
    return Message(bytes(FRAME_BYTES) + response.SerializeToString())


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("predict", flat()),
        ("infer", flat()),
        ("infer", kserve()),
        ("infer", binary()),
        ("call", call(raw=True)),
        ("call", call(raw=False)),
    ],
    ids=["predict", "generate", "KServe JSON", "KServe binary", "gRPC raw", "gRPC contents"],
)
def test_an_answer_is_read_in_each_form(kind: Kind, message: Message) -> None:
    found = tensors_of(kind, message)

    assert found["half"].ravel().tolist() == [0.5, -0.25]
    assert found["half"].dtype == np.float64
    assert found["label"].ravel().tolist() == ["tabby cat"]


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("predict", b"[1]"),
        ("infer", b"not json"),
        ("infer", b'{"outputs": [{}]}'),
        ("call", b"\xff" * 9),
    ],
)
def test_what_is_no_answer_is_said_to_be_none(kind: Kind, body: bytes) -> None:
    with pytest.raises(UnreadableError):
        tensors_of(kind, Message(body))


def test_a_requests_inputs_are_read_as_answers_are() -> None:
    request = ModelInferRequest(model_name="m")
    request.inputs.add(name="half", datatype="FP32", shape=[1, 2])
    request.raw_input_contents.append(_HALVES.tobytes())
    as_json = {"inputs": [{"name": "half", "datatype": "FP32", "shape": [2], "data": [0.5, -0.25]}]}

    for kind, body in (
        ("call", bytes(FRAME_BYTES) + request.SerializeToString()),
        ("infer", json.dumps(as_json).encode()),
        ("predict", b'{"half": [0.5, -0.25]}'),
    ):
        found = inputs_of(kind, Message(body))  # type: ignore[arg-type]
        assert found["half"].ravel().tolist() == [0.5, -0.25], kind


@pytest.mark.parametrize(
    ("live", "candidate", "agrees", "distance"),
    [
        ([0.5], [0.5099], True, 0.0099),
        (0.5, 0.5099, True, 0.0099),
        (0.5, 0.52, False, 0.02),
        (281, 282, False, 1.0),
        ([0.5], [0.52], False, 0.02),
        ([100.0], [100.9], True, 0.9),
        ([100.0], [102.0], False, 2.0),
        ([0.1, 0.9], [0.1, 0.5], False, 0.4),
        ([math.nan], [math.nan], True, 0.0),
        ([math.nan], [0.0], False, math.inf),
        ([math.inf], [math.inf], True, 0.0),
        ([math.inf], [1.0], False, math.inf),
        ([281], [281], True, 0.0),
        ([281], [282], False, 1.0),
        ([2**53], [2**53 + 1], False, 1.0),
        ([True], [False], False, None),
        (["cat"], ["cat"], True, None),
        (["cat"], ["dog"], False, None),
        (["0.5"], [0.5], False, None),
        ([0.5], [[0.5]], False, None),
        ([0.5], None, False, None),
        ([], [], True, None),
    ],
)
def test_two_values_agree(live: Any, candidate: Any, agrees: bool, distance: float | None) -> None:
    one = {"x": np.array(live)}
    other = {} if candidate is None else {"x": np.array(candidate)}

    found = compared(one, other, 0.01, ["x"])["x"]

    assert found.agrees is agrees
    if distance is not None:
        assert found.distance == pytest.approx(distance)
    assert (found.severity > 1) is not agrees


def test_only_outputs_that_were_asked_for_are_compared() -> None:
    live = {"label": np.array(["cat"]), "model_version": np.array(["1"])}
    candidate = {"label": np.array(["cat"]), "model_version": np.array(["2"])}

    assert list(compared(live, candidate, 0.01, ["label", "probability"])) == ["label"]


def test_the_worst_disagreements_are_kept_and_no_more_than_twenty(tmp_path: Path) -> None:
    found = Found(tolerance=0.01)
    for number in range(100):
        live, candidate = np.array([0.0]), np.array([((number * 37) % 100) / 10])
        differences = compared({"x": live}, {"x": candidate}, 0.01, ["x"])
        found.add(differences)
        if found.is_among_worst(differences):
            distances = {"x": differences["x"].distance}
            worst = severity(differences)[0]
            found.keep(Example(str(number), worst, distances, {"x": [0.0]}, {"x": [math.nan]}))
        found.failed(f"error {number}")
    found.write(tmp_path)

    again = read_found(tmp_path)

    assert again is not None
    assert [each.distances["x"] for each in again.worst] == [n / 10 for n in range(99, 79, -1)]
    assert math.isnan(again.worst[0].candidate["x"][0])
    assert (again.outputs["x"].compared, again.outputs["x"].largest) == (100, 9.9)
    assert len(again.errors) == 21
    assert again.errors["others"] == 80
    assert (tmp_path / "answers.json").stat().st_mode & 0o077 == 0
