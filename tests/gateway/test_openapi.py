"""The OpenAPI document: it is one, and what it says of requests and answers is what Triton does."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import openapi_spec_validator
import urllib3

from tests.running import Served
from tests.trimaran.versions import model_config, publish_files, tensor
from trimaran.gateway.openapi import document
from trimaran.repository.repository import Repository

Node = dict[str, Any]

FULL = {"state": "OH", "total_day_minutes": 300.0, "customer_id": "a"}

CHURN: dict[str, Any] = {
    "a few fields": FULL,
    "an unknown value": {"state": "ZZ"},
    "a missing text and a number": {"state": "", "total_day_minutes": 1},
    "the least": {"total_day_minutes": 0},
    "the most": {"total_day_minutes": 1440},
    "no field": {},
    "the identifier alone": {"customer_id": "a"},
    "a missing text alone": {"state": ""},
    "null for a number": {**FULL, "total_day_minutes": None},
    "null for a text": {**FULL, "state": None},
    "text for a number": {"total_day_minutes": "3"},
    "a truth value for a number": {"total_day_minutes": True},
    "a number for a text": {"state": 5},
    "below the least": {"total_day_minutes": -0.5},
    "above the most": {"total_day_minutes": 1441},
    "more than FP32": {"total_day_minutes": 1e39},
    "an unknown field": {**FULL, "totl": 1},
    "an id": {**FULL, "id": "a"},
    "parameters": {**FULL, "parameters": {"a": 1}},
    "a list": [FULL],
    "a text": "OH",
}
EIGHT = [0.5] * 8
LINEAR: dict[str, Any] = {
    "a row": {"x": EIGHT},
    "whole numbers": {"x": [1] * 8},
    "an id": {"x": EIGHT, "id": "mine"},
    "further members": {"x": EIGHT, "note": "a", "flag": True, "count": 1.5, "": 1},
    "parameters": {"x": EIGHT, "parameters": {"a": "b"}},
    "too few": {"x": [1] * 7},
    "a value alone": {"x": 1},
    "nested": {"x": [EIGHT]},
    "a text": {"x": [*EIGHT[1:], "1"]},
    "nothing": {},
    "null": {"x": None},
    "an id that is no text": {"x": EIGHT, "id": 5},
    "a further member that is no value": {"x": EIGHT, "note": None},
    "a further list": {"x": EIGHT, "note": [1]},
    "a name that holds NUL": {"x": EIGHT, "a\0": 1},
    "parameters that are none": {"x": EIGHT, "parameters": 1},
}
TOKENS: dict[str, Any] = {
    "a row": {"tokens": [1, 2], "mask": [True, False], "scale": 2},
    "a fraction": {"tokens": [1, 2.5], "mask": [True, False], "scale": 2},
    "numbers for truth values": {"tokens": [1, 2], "mask": [1, 0], "scale": 2},
    "beyond 64 bits": {"tokens": [1, 2**63], "mask": [True, False], "scale": 2},
    "an input is missing": {"tokens": [1, 2], "mask": [True, False]},
}


def example(described: Node, model: str) -> Node:
    content = described["paths"][f"/models/{model}/predict"]["post"]["requestBody"]["content"]
    return dict(content["application/json"]["examples"])


def is_valid(described: Node, schema: str, value: Any) -> bool:
    found = described["components"]["schemas"][schema]
    checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
    return jsonschema.Draft202012Validator(found, format_checker=checker).is_valid(value)


def differences(served: Served, described: Node, model: str, bodies: Mapping[str, Any]) -> Node:
    """Requests that the document allows and Triton refuses, or the other way round."""
    found = {}
    for name, body in bodies.items():
        answer = urllib3.request(
            "POST", served.url(f"/v2/models/{model}/generate"), body=json.dumps(body).encode()
        )
        assert b"the model failed" not in answer.data, name
        if is_valid(described, f"{model}.request", body) != (answer.status == 200):
            found[name] = answer.data
        elif answer.status == 200:
            assert is_valid(described, f"{model}.answer", answer.json()), answer.data
    return found


def test_what_it_says_of_records_is_what_triton_does(churn_served: Served) -> None:
    models = ["churn", "churn_feedback", "churn_record"]
    described = document(churn_served.repository, models, "churn")
    openapi_spec_validator.validate(described)
    golden = {name: each["value"] for name, each in example(described, "churn").items()}
    assert golden.keys() == {"leaves", "stays"}
    assert differences(churn_served, described, "churn", CHURN | golden) == {}
    texts = {name: each["value"] for name, each in example(described, "churn_record").items()}
    refused = {
        "an identifier": {"customer_id": "a"},
        "an object": {"RECORD": FULL},
        "a field": FULL,
    }
    bodies = {**texts, "no record": {}, "a field": FULL, **refused}
    assert differences(churn_served, described, "churn_record", bodies) == {}
    outcomes = {
        "an outcome": {"id": "a", "outcome": True},
        "a time": {"id": "a", "outcome": True, "time": "2026-11-22T13:00:00Z"},
        "no time": {"id": "a", "outcome": True, "time": "soon"},
        "no id": {"id": "", "outcome": True},
        "a text": {"id": "a", "outcome": "yes"},
    }
    assert differences(churn_served, described, "churn_feedback", outcomes) == {}


def test_a_list_of_rows_is_taken_that_it_does_not_allow(churn_served: Served) -> None:
    described = document(churn_served.repository, ["churn"], None)
    rows = {"two rows": {"state": ["OH", "KS"], "total_day_minutes": [1, 2]}}
    assert differences(churn_served, described, "churn", rows).keys() == {"two rows"}
    assert "A list in the place\nof a value is taken as several rows" in str(
        described["info"]["description"]
    )


def test_what_it_says_of_tensors_is_what_triton_does(served: Served) -> None:
    models = ["linear_onnx", "tokens_onnx", "image_classifier"]
    described = document(served.repository, models, None)
    openapi_spec_validator.validate(described)
    assert differences(served, described, "linear_onnx", LINEAR) == {}
    assert differences(served, described, "tokens_onnx", TOKENS) == {}
    (cat,) = (each["value"] for each in example(described, "image_classifier").values())
    photograph = served.repository.model("image_classifier") / "golden" / "chelsea.jpg"
    assert base64.b64decode(cat["IMAGE"]) == photograph.read_bytes()
    bodies = {"a photograph": cat, "nothing": {}, "a number": {"IMAGE": 5}}
    assert differences(served, described, "image_classifier", bodies) == {}
    labels = described["components"]["schemas"]["image_classifier.answer"]["properties"]["LABEL"]
    assert "Egyptian cat" in labels["items"]["enum"]


def test_it_has_the_paths_of_the_models_named_and_no_other(churn_trained: Path) -> None:
    repository = Repository.open(churn_trained / "model_repository")
    without = document(repository, ["churn_record"], None)["paths"]
    assert {path for path in without if "predict" in path} == {"/models/churn_record/predict"}
    described = document(repository, ["churn", "churn_record"], "churn")
    assert described["paths"].keys() - without.keys() == {
        *("/models/churn/predict", "/models/churn/metadata", "/predict", "/metadata")
    }
    for path in ("/predict", "/models/churn/predict"):
        operation = described["paths"][path]["post"]
        assert operation["security"] == [{"token": ["infer:churn"]}]
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        assert schema == {"$ref": "#/components/schemas/churn.request"}


def test_it_tells_what_the_version_knows_of_a_field(churn_trained: Path) -> None:
    repository = Repository.open(churn_trained / "model_repository")
    schemas = document(repository, ["churn", "churn_record"], None)["components"]["schemas"]
    minutes = schemas["churn.request"]["properties"]["total_day_minutes"]
    assert (minutes["minimum"], minutes["maximum"]) == (0, 1440)
    assert minutes["description"].startswith("In training mostly from ")
    state = schemas["churn.request"]["properties"]["state"]
    assert "OH" in state["anyOf"][0]["enum"]
    text = schemas["churn_record.request"]["properties"]["RECORD"]
    assert text["contentSchema"]["properties"]["total_day_minutes"] == minutes


def test_a_model_that_json_cannot_carry_has_its_metadata_alone(
    empty_repository: Repository,
) -> None:
    half = model_config("half", (tensor("x", "FP16", 4),))
    publish_files(empty_repository, half, {"model.onnx": b"content"})
    partial = model_config("partial")
    del partial.input[:]
    publish_files(empty_repository, partial, {"model.onnx": b"content"})
    described = document(empty_repository, ["half", "partial"], None)
    openapi_spec_validator.validate(described)
    models = {path for path in described["paths"] if path.startswith("/models/")}
    assert models == {"/models/half/metadata", "/models/partial/metadata"}


def test_it_names_the_classes_of_an_answer(empty_repository: Repository) -> None:
    outputs = tensor("m_probability", "FP32", 2), tensor("m_prediction", "BYTES", 1)
    config = model_config("m", (tensor("x", "BOOL", -1),), outputs)
    publish_files(empty_repository, config, {"model.onnx": b"", "labels.txt": b"cat\na dog\n"})
    described = document(empty_repository, ["m"], None)
    answer = {"model_name": "m", "model_version": "1", "m_probability": [0.25, 0.75]}
    assert is_valid(described, "m.answer", {**answer, "m_prediction": "a dog"})
    assert not is_valid(described, "m.answer", {**answer, "m_prediction": "a cow"})
    found = described["components"]["schemas"]["m.answer"]["properties"]["m_probability"]
    assert found["x-classes"] == ["cat", "a dog"]
