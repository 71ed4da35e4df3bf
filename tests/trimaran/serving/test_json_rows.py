"""Rows of JSON as tensors: which value each type takes, and what is refused."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from trimaran.repository.config import ModelConfig, parse_config
from trimaran.repository.dtypes import by_triton
from trimaran.serving.json_rows import as_array, json_values, read_rows, row_of
from trimaran.system.errors import TrimaranError, UsageError

TAKEN: list[tuple[str, Any, Any]] = [
    ("BYTES", ["ä", ""], ["ä".encode(), b""]),
    ("BOOL", [True, 0], [True, False]),
    ("INT64", [[2**53 + 1], [-1]], [[2**53 + 1], [-1]]),
    ("INT8", [1.0], [1]),
    ("FP16", [0.5, -65504], [0.5, -65504.0]),
    ("FP32", [-math.inf, 0, 2**70], [-math.inf, 0.0, 2.0**70]),
    ("FP64", [], []),
]


@pytest.mark.parametrize(("dtype", "given", "expected"), TAKEN)
def test_a_value_that_a_type_takes(dtype: str, given: Any, expected: Any) -> None:
    assert as_array(given, by_triton(dtype), "here").tolist() == expected


REFUSED: list[tuple[str, Any, str]] = [
    ("BYTES", None, "null is null; expected text in quotes"),
    ("BYTES", True, "true is a truth value; expected text"),
    ("BYTES", 5, "5 is a number; expected text"),
    ("BYTES", "\ud800", "has half of a surrogate pair"),
    ("BYTES", {"a": 1}, '{"a": 1} is an object; expected text'),
    ("FP32", "1", '"1" is text; expected a number'),
    ("FP32", False, "false is a truth value; expected a number"),
    ("FP16", 70000, "70000 does not fit FP16"),
    ("FP16", 1e-9, "1e-09 does not fit FP16"),
    ("FP32", -1e39, "-1e+39 does not fit FP32"),
    ("FP64", 10**400, "… does not fit FP64"),
    ("INT64", 2**63, "9223372036854775808 does not fit INT64"),
    ("UINT8", -1, "-1 does not fit UINT8"),
    ("INT32", 1.5, "1.5 does not fit INT32"),
    ("INT32", math.nan, "NaN does not fit INT32"),
    ("BOOL", 2, "2 does not fit BOOL"),
    ("FP32", [1, 2], "lists on one axis have different lengths"),
]


@pytest.mark.parametrize(("dtype", "bad", "reason"), REFUSED)
def test_a_value_that_no_type_takes_so(dtype: str, bad: Any, reason: str) -> None:
    good = {"BYTES": "a", "BOOL": True}.get(dtype, 1)
    with pytest.raises(TrimaranError) as refused:
        as_array([good, bad], by_triton(dtype), "here")
    assert str(refused.value).startswith("here: ")
    assert reason in str(refused.value)


def test_null_leaves_out_an_optional_input_only() -> None:
    config: ModelConfig = parse_config(
        """name: "m" max_batch_size: 8
        input { name: "need" data_type: TYPE_STRING dims: 1 }
        input { name: "may" data_type: TYPE_STRING dims: 1 optional: true }""",
        "m",
    )
    assert row_of(config, {"need": "a", "may": None}, "row 0").keys() == {"need"}
    with pytest.raises(TrimaranError, match=r"row 0: input 'need': .* null is null"):
        row_of(config, {"need": None}, "row 0")
    config.input[0].optional = True
    with pytest.raises(
        UsageError, match=r"row 0: every input is left out; give at least one of need, may"
    ):
        row_of(config, {"may": None}, "row 0")


def test_a_row_of_another_shape_is_refused() -> None:
    config = parse_config(
        'name: "m" max_batch_size: 8 input { name: "x" data_type: TYPE_FP32 dims: [2, -1] }', "m"
    )
    assert row_of(config, {"x": [[1, 2, 3], [4, 5, 6]]}, "row 0")["x"].shape == (1, 2, 3)
    with pytest.raises(UsageError, match=r"has the shape \[3\]; expected \[2, -1\]"):
        row_of(config, {"x": [1, 2, 3]}, "row 0")


@pytest.mark.parametrize("separator", ["\u2028", "\x85", "\x0c"])
def test_only_a_line_feed_ends_a_row_of_json_lines(tmp_path: Path, separator: str) -> None:
    path = tmp_path / "rows.jsonl"
    rows = [{"x": f"a{separator}b"}, {"x": "c"}]
    text = "\r\n".join(json.dumps(row, ensure_ascii=separator == "\x0c") for row in rows)
    path.write_bytes(f"\ufeff{text}\n\n".encode())
    assert read_rows(path) == rows


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("a.json", "[" * 100_000, "nested too deeply"),
        ("a.json", '{"x": 1e999}', "no type holds 1e999"),
        ("a.jsonl", "{}\n\n{", "a.jsonl, line 3 is not readable JSON"),
    ],
)
def test_a_file_that_is_no_json(tmp_path: Path, name: str, text: str, reason: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(UsageError, match=reason):
        read_rows(tmp_path / name)


def test_answers_are_json_whatever_number_they_hold() -> None:
    assert json_values([[math.nan, 1.0], [math.inf, -math.inf]]) == [
        ["NaN", 1.0],
        ["Infinity", "-Infinity"],
    ]
