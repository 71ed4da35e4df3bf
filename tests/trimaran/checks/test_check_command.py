"""`trimaran check`: what it prints, its JSON, and its exit status."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.running import PROJECT
from tests.trimaran.calling import call_trimaran
from tests.trimaran.checks.judging import SOURCE, judged

X = 'input { name: "x" data_type: TYPE_FP32 dims: [ 4 ] }'
Y = 'output { name: "y" data_type: TYPE_FP32 dims: [ 4 ] }'
GOOD = f'backend: "python" max_batch_size: 8 {X} {Y} '
BAD = GOOD.replace("[ 4 ]", "[ 0 ]", 1) + "instance_group { kind: KIND_GPU }"
FILES = {
    "bad/config.pbtxt": BAD,
    "bad/1/model.py": SOURCE,
    "good/config.pbtxt": GOOD,
    "good/1/model.py": SOURCE,
    "later/config.pbtxt": GOOD,
}


def test_findings_are_grouped_and_counted(tmp_path: Path) -> None:
    judged(tmp_path, FILES)
    outcome = call_trimaran("check", "--repository", tmp_path / "models")
    assert outcome.status == 1
    lines = outcome.stdout.splitlines()
    assert lines[:3] == [
        "bad",
        "  error    bad/config.pbtxt: input.x.dims: tensor 'x' has dims [0]; use numbers above 0, "
        "or -1 for any length",
        "  warning  bad/config.pbtxt: instance_group[0].kind: KIND_GPU is refused by a host "
        "without a GPU; leave the kind out, and Triton takes a GPU where there is one",
    ]
    assert lines[-1] == "3 models: 1 error, 1 warning, 1 without a version yet"


def test_warnings_alone_are_no_failure(tmp_path: Path) -> None:
    judged(tmp_path, {"m/config.pbtxt": GOOD + "instance_group { kind: KIND_GPU }"})
    outcome = call_trimaran("check", "--repository", tmp_path / "models")
    assert outcome.status == 0
    assert outcome.stdout.splitlines()[-1] == (
        "1 model: no errors, 1 warning, 1 without a version yet"
    )


def test_only_the_named_models_are_reported(tmp_path: Path) -> None:
    judged(tmp_path, FILES)
    outcome = call_trimaran("check", "good", "--repository", tmp_path / "models")
    assert outcome.status == 0
    assert outcome.stdout.splitlines()[-1] == "1 model: no errors"
    wrong = call_trimaran("check", "goud", "--repository", tmp_path / "models")
    assert wrong.status == 2
    assert wrong.error == (f"{tmp_path / 'models'}: has no model 'goud'; it has bad, good, later")


def test_json_has_every_finding(tmp_path: Path) -> None:
    judged(tmp_path, {name: text for name, text in FILES.items() if name.startswith("bad")})
    outcome = call_trimaran("check", "--json", "--repository", tmp_path / "models")
    assert outcome.status == 1
    record = json.loads(outcome.stdout)
    assert {key: record[key] for key in ("models", "errors", "warnings", "without_version")} == {
        "models": ["bad"],
        "errors": 1,
        "warnings": 1,
        "without_version": [],
    }
    assert record["findings"][0] == {
        "severity": "error",
        "model": "bad",
        "file": "bad/config.pbtxt",
        "field": "input.x.dims",
        "found": "tensor 'x' has dims [0]",
        "remedy": "use numbers above 0, or -1 for any length",
    }


def test_an_empty_repository_is_reported(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    outcome = call_trimaran("check", "--repository", tmp_path / "models")
    assert outcome.status == 0
    assert outcome.stdout.splitlines() == [
        "  warning  the repository is empty; make a model with 'trimaran export'",
        "0 models: no errors, 1 warning",
    ]


def test_a_repository_that_is_not_there_is_reported(tmp_path: Path) -> None:
    outcome = call_trimaran("check", "--repository", tmp_path / "nowhere")
    assert outcome.status == 1
    assert "no such model repository" in outcome.error


def test_the_committed_repository_has_no_errors() -> None:
    outcome = call_trimaran("check", "--repository", PROJECT / "model_repository")
    assert outcome.status == 0, outcome.stdout


def test_a_number_that_names_nothing_leaves_every_other_model_checked(tmp_path: Path) -> None:
    files = {"odd/config.pbtxt": GOOD.replace("TYPE_FP32", "99", 1), "odd/1/model.py": SOURCE}
    judged(tmp_path, FILES | files)
    outcome = call_trimaran("check", "--json", "--repository", tmp_path / "models")
    assert outcome.status == 1
    record = json.loads(outcome.stdout)
    assert record["models"] == ["bad", "good", "later", "odd"]
    assert [item["field"] for item in record["findings"] if item["severity"] == "error"] == [
        "input.x.dims",
        "input.x.data_type",
    ]


@pytest.mark.parametrize("command", [["predict", "odd", "--json"], ["deploy", "odd"]])
def test_other_commands_say_which_number_it_is(command: list[str], tmp_path: Path) -> None:
    files = {"odd/config.pbtxt": GOOD.replace("TYPE_FP32", "99", 1), "odd/1/model.py": SOURCE}
    judged(tmp_path, files)
    rows = tmp_path / "rows.json"
    rows.write_text('[{"x": [1, 2, 3, 4]}]')
    given = [*command, rows] if command[-1] == "--json" else command
    outcome = call_trimaran(*given, "--repository", tmp_path / "models")
    assert outcome.status == 1
    path = tmp_path / "models" / "odd" / "config.pbtxt"
    assert outcome.error == (
        f"{path}: input.x.data_type: data_type 99 is none of Triton's types; write a name such as "
        "TYPE_FP32"
    )
