"""`trimaran predict` against the real server."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.running import PROJECT, Served, run_trimaran
from tests.trimaran.calling import Outcome, call_trimaran

CAT = PROJECT / "model_repository/image_classifier/golden/chelsea.jpg"
ROW = [0.5, -1, 2, 0, 0, 1, 3, -2]


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_photograph_as_a_table(served: Served, protocol: str) -> None:
    result = predict(served, "image_classifier", CAT, "--protocol", protocol)
    assert result.status == 0, result.stderr
    assert "Egyptian cat" in result.stdout
    assert "PROBABILITY" in result.stdout


def test_in_a_project_files_go_to_its_model(served: Served) -> None:
    folder = served.repository.root.parent
    settings = folder / "trimaran.toml"
    settings.write_text('models = ["image_classifier"]\n')
    try:
        by_default = call_trimaran("predict", CAT, CAT, "--json", cwd=folder)
        by_name = call_trimaran("predict", "linear_onnx", CAT, cwd=folder)
        neither = call_trimaran("predict", "cat.jpg", cwd=folder)
    finally:
        settings.unlink()
    answers = json.loads(by_default.stdout)
    assert ["cat" in answer["outputs"]["LABEL"][0][0] for answer in answers] == [True, True]
    assert "linear_onnx takes x FP32 [8]" in by_name.error
    assert "cat.jpg is neither a model of" in neither.error


def test_several_files_as_json(served: Served, tmp_path: Path) -> None:
    text = tmp_path / "note.txt"
    text.write_text("not a photograph")
    result = predict(served, "image_classifier", CAT, text, "--json")
    assert result.status == 1
    cat, note = json.loads(result.stdout)
    assert "cat" in cat["outputs"]["LABEL"][0][0]
    assert len(cat["outputs"]["PROBABILITY"][0]) == 5
    assert "is not a JPEG, PNG or WebP file" in note["error"]
    assert "1 of 2 requests were refused" in result.stderr


def test_json_row_and_npz_agree(served: Served, tmp_path: Path) -> None:
    rows = tmp_path / "rows.json"
    rows.write_text(json.dumps([{"x": ROW}, {"x": ROW}]))
    arrays = tmp_path / "rows.npz"
    np.savez(arrays, x=np.array([ROW, ROW], np.float32))
    by_json = predict(served, "linear_onnx", "--input", rows, "--json")
    options = ("--input", "-", "--json", "--repository", served.repository.root)
    by_stdin = run_trimaran("predict", "linear_onnx", *options, stdin=json.dumps({"x": ROW}))
    by_npz = predict(served, "linear_onnx", arrays, "--json")
    first, second = (item["outputs"]["y"][0] for item in json.loads(by_json.stdout))
    both = json.loads(by_npz.stdout)[0]["outputs"]["y"]
    assert json.loads(by_stdin.stdout)[0]["outputs"]["y"][0] == first == second == both[0]


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["image_classifier"], 2, "give either files, or --input"),
        (["image_classifier", "/nowhere.jpg"], 2, "there is no file /nowhere.jpg"),
        (["nothing", str(CAT)], 1, "has no model 'nothing'"),
        (["linear_onnx", str(CAT)], 2, "linear_onnx takes x FP32 [8]"),
        (["linear_onnx", "--input", "/nowhere.json"], 2, "is not readable JSON"),
        (["image_classifier", str(CAT), "--protocol", "smtp"], 2, "no protocol 'smtp'"),
    ],
)
def test_mistakes(served: Served, arguments: list[str], status: int, message: str) -> None:
    result = predict(served, *arguments)
    assert result.status == status, result.stderr
    assert message in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"z": ROW}, "has no input 'z'; it has x"),
        ({}, "input 'x' is missing"),
        ({"x": ["a"] * 8}, "input 'x': does not fit FP32"),
        ({"x": [[1], [2, 3]]}, "input 'x': does not fit FP32"),
        ([3], "row 0 is not an object"),
    ],
)
def test_rows_that_do_not_fit(served: Served, row: object, message: str) -> None:
    result = predict(served, "linear_onnx", "--input", "-", stdin=json.dumps(row))
    assert result.status != 0
    assert message in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04"])
def test_file_that_is_no_npz(served: Served, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "rows.npz"
    path.write_bytes(content)
    result = predict(served, "linear_onnx", path)
    assert result.status == 2
    assert "is not an .npz file of plain arrays" in result.stderr


def test_array_that_no_tensor_can_hold(served: Served, tmp_path: Path) -> None:
    path = tmp_path / "rows.npz"
    np.savez(path, x=np.array(["2026-01-01"], "datetime64[D]"))
    result = predict(served, "linear_onnx", path)
    assert result.status == 1
    assert "input 'x' is datetime64[D], which Triton cannot carry" in result.stdout


def test_wrong_shape_is_refused_with_expected_and_found(served: Served) -> None:
    result = predict(served, "linear_onnx", "--input", "-", stdin=json.dumps({"x": [1.0, 2.0]}))
    assert result.status == 2
    assert "row 0: input 'x' has the shape [2]; expected [8]" in result.stderr


def test_no_server(exported: object, tmp_path: Path) -> None:
    (tmp_path / "model_repository").mkdir()
    result = call_trimaran(
        "predict", "image_classifier", CAT, "--repository", tmp_path / "model_repository"
    )
    assert result.status == 1
    assert "has no model" in result.stderr


def predict(served: Served, *arguments: str | Path, stdin: str = "") -> Outcome:
    return call_trimaran("predict", *arguments, "--repository", served.repository.root, stdin=stdin)
