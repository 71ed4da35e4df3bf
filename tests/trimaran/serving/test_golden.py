"""What a golden request may hold, and when it is met: each expectation decides on its own."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from tests.trimaran.versions import model_config
from trimaran.repository.repository import Repository
from trimaran.serving.golden import read_golden, unmet
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


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        ([], "it is no object with expect, inputs"),
        ({"input": INPUTS, "expect": {}}, "it has the key 'input'; choose from expect, inputs"),
        ({"inputs": INPUTS}, "it lacks a key; expected expect, inputs"),
        ({"inputs": {"x": {"values": [1]}}, "expect": {}}, "has the key 'values'; choose from"),
        ({"inputs": {"z": {"value": [1]}}, "expect": {}}, "inputs has the key 'z'"),
        ({"inputs": INPUTS, "expect": {"y": {"equal": [1]}}}, "expect of 'y' has the key 'equal'"),
        ({"inputs": {"x": {"file": "../config.pbtxt"}}, "expect": {}}, "is outside of"),
    ],
)
def test_a_mistake_is_named(empty_repository: Repository, request_: object, reason: str) -> None:
    directory = empty_repository.model("m") / "golden"
    directory.mkdir(parents=True)
    (directory / "a.json").write_text(json.dumps(request_))
    with pytest.raises(TrimaranError) as refused:
        read_golden(empty_repository, model_config("m"))
    assert reason in str(refused.value)
