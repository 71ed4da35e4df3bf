"""What a golden request may hold, and when it is met: each expectation decides on its own."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from tests.trimaran.versions import model_config, tensor
from trimaran.repository.repository import Repository
from trimaran.serving.golden import example_row, read_golden, unmet
from trimaran.system.errors import TrimaranError

LABELS = np.array([[b"Egyptian cat", b"tabby"]], np.object_)
NUMBERS = np.array([[0.39, 0.2, 0.1]], np.float32)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (LABELS, {"contains": "cat"}),
        (LABELS, {"equals": ["Egyptian cat", "tabby"]}),
        (NUMBERS, {"near": [0.4], "atol": 0.02}),
        (NUMBERS, {"near": [0.4, 0.2, 0.1], "atol": 0.02}),
    ],
)
def test_an_expectation_is_met(found: np.ndarray, expected: dict[str, Any]) -> None:
    assert unmet(found, expected) is None


@pytest.mark.parametrize(
    ("found", "expected", "why"),
    [
        (None, {"contains": "cat"}, "missing"),
        (LABELS, {"contains": "dog"}, "none contains 'dog'"),
        (LABELS, {"equals": ["Egyptian cat"]}, "not ['Egyptian cat']"),
        (LABELS, {"equals": ["tabby", "Egyptian cat"]}, "not ['tabby', 'Egyptian cat']"),
        (NUMBERS, {"near": [0.42], "atol": 0.02}, "not within 0.02 of [0.42]"),
        (NUMBERS, {"near": [0.39, 0.3], "atol": 0.02}, "not within 0.02"),
        (NUMBERS, {"near": [0.39]}, "not within 0 of"),
        (NUMBERS, {"near": [0.39, 0.2, 0.1, 0.0], "atol": 1.0}, "not within 1 of"),
        (np.array([np.nan], np.float32), {"near": [0.39], "atol": 1.0}, "not within 1 of"),
        (LABELS, {"contains": "cat", "equals": ["other"]}, "not ['other']"),
    ],
)
def test_an_expectation_is_not_met(
    found: np.ndarray | None, expected: dict[str, Any], why: str
) -> None:
    assert why in (unmet(found, expected) or "")


INPUTS = {"x": {"value": [1, 2, 3, 4]}}


def expecting(expectation: object, output: str = "y") -> dict[str, object]:
    return {"inputs": INPUTS, "expect": {output: expectation}}


def giving(item: object) -> dict[str, object]:
    return {"inputs": {"x": item}, "expect": {}}


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        ([], "it is no object with expect, inputs"),
        ({"input": INPUTS, "expect": {}}, "it has the key 'input'; choose from expect, inputs"),
        ({"inputs": INPUTS}, "it lacks a key; expected expect, inputs"),
        ({"inputs": {"z": {"value": [1]}}, "expect": {}}, "inputs has the key 'z'"),
        ({"inputs": {}, "expect": {}}, "input 'x' is missing"),
        ({"inputs": INPUTS, "expect": []}, "expect is no object with y"),
        (giving({"values": [1]}), "has the key 'values'; choose from"),
        (giving({"value": [1], "file": "a.json"}), "input 'x' needs one key of file, value"),
        (giving({"file": "a.json"}), "input 'x' is a file, and takes FP32; give value"),
        (giving({"value": "1"}), '"1" is text; expected a number'),
        (giving({"value": None}), "null is null; expected a number"),
        (giving({"value": [[1, 2], [3]]}), "lists on one axis have different lengths"),
        (giving({"value": [1, 2, 3]}), "input 'x' has the shape [3]; expected [4]"),
        (expecting({"equals": [1]}, "z"), "expect has the key 'z'; choose from y"),
        (expecting({"equal": [1]}), "expect of 'y' has the key 'equal'"),
        (expecting([1]), "expect of 'y' is no object with atol, contains, equals, near"),
        (expecting({"atol": 1}), "expect of 'y' lacks a key; expected contains, equals or near"),
        (expecting({"contains": 5}), "contains needs a text"),
        (expecting({"contains": ""}), "contains needs a text"),
        (expecting({"equals": ["a"]}), '"a" is text; expected a number'),
        (expecting({"near": {"0": 1}}), "is an object; expected a number"),
        (expecting({"near": []}), "near needs a number at least"),
        (expecting({"near": [1]}, "text"), "near compares numbers, and text BYTES [1] has none"),
        (expecting({"near": [1], "atol": "0.1"}), "atol needs a number from 0"),
        (expecting({"near": [1], "atol": -1}), "atol needs a number from 0"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(
    empty_repository: Repository, request_: object, reason: str
) -> None:
    directory = empty_repository.model("m") / "golden"
    directory.mkdir(parents=True)
    (directory / "a.json").write_text(json.dumps(request_))
    outputs = (tensor("text", "BYTES", 1),) if "text BYTES" in reason else (tensor("y"),)
    config = model_config("m", outputs=outputs)
    with pytest.raises(TrimaranError) as refused:
        read_golden(empty_repository, config)
    assert reason in str(refused.value)
    assert str(refused.value).startswith(str(directory / "a.json"))
    assert example_row(empty_repository, config) is None


def test_values_may_be_nested_as_the_output_is(empty_repository: Repository) -> None:
    directory = empty_repository.model("m") / "golden"
    directory.mkdir(parents=True)
    expectation = {"equals": [[0.1, 2], [3, 4]], "near": [[0.1], [2]]}
    (directory / "a.json").write_text("\ufeff" + json.dumps(expecting(expectation)))
    (request,) = read_golden(empty_repository, model_config("m"))
    found = np.array([[0.1, 2, 3, 4]], np.float32)
    assert unmet(found, {**request.expect["y"], "atol": 1e-6}) is None


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("here.jpg", ""),
        ("../config.pbtxt", "is outside of"),
        ("link.jpg", "is outside of"),
        ("gone.jpg", "there is no file 'gone.jpg' next to it"),
        (5, "file needs the name of a file next to it"),
    ],
)
def test_only_files_next_to_a_request_are_read(
    empty_repository: Repository, name: object, reason: str
) -> None:
    directory = empty_repository.model("m") / "golden"
    directory.mkdir(parents=True)
    (directory / "here.jpg").write_bytes(b"a photograph")
    (directory.parent / "config.pbtxt").write_text("")
    (directory / "link.jpg").symlink_to(directory.parent / "config.pbtxt")
    (directory / "a.json").write_text(json.dumps(giving({"file": name})))
    config = model_config("m", inputs=(tensor("x", "BYTES", 1),))
    if reason:
        with pytest.raises(TrimaranError, match=reason):
            read_golden(empty_repository, config)
    else:
        (request,) = read_golden(empty_repository, config)
        assert request.inputs["x"].item() == b"a photograph"
