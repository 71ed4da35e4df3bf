"""What a file of a golden request may hold."""

from __future__ import annotations

import json

import pytest

from tests.trimaran.versions import model_config
from trimaran.repository.repository import Repository
from trimaran.serving.golden import read_golden
from trimaran.system.errors import TrimaranError

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
    ],
)
def test_a_wrong_key_is_named(empty_repository: Repository, request_: object, reason: str) -> None:
    directory = empty_repository.model("m") / "golden"
    directory.mkdir(parents=True)
    (directory / "a.json").write_text(json.dumps(request_))
    with pytest.raises(TrimaranError) as refused:
        read_golden(empty_repository, model_config("m"))
    assert reason in str(refused.value)
