"""A slice of the page of precisions: a small model in every precision, and INT8 served."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from proofs.precision.comparison import Variant, compare_precisions, variants
from proofs.precision.page import Row, ServedRow, page
from tests.exporters.quadrants import quadrants


@pytest.mark.long
def test_every_precision_is_a_row() -> None:
    wanted = [v for v in variants() if v.format == "onnx"]
    said: list[str] = []
    rows, served = compare_precisions(quadrants(), "tests", wanted, said.append)
    assert said == [str(row) for row in rows]
    found = {row.variant: row for row in rows}
    assert list(found) == [
        "onnx fp32",
        "onnx fp16",
        "onnx bf16",
        "onnx int8 static",
        "onnx int8 dynamic",
        "onnx int8 dynamic, never batched",
    ]
    refused = {name for name, row in found.items() if row.refusal}
    assert refused == {"onnx bf16", "onnx int8 dynamic"}
    assert_int8_served(found["onnx int8 static"], served)
    assert len(found["onnx int8 dynamic, never batched"].speeds) == 1
    assert "so requests may not be batched together" in (
        found["onnx int8 dynamic, never batched"].dependence
    )
    assert found["onnx fp16"].size < found["onnx fp32"].size
    text = page(rows, served)
    assert "--precision int8" in text
    assert text.count("## quadrants") == 1
    assert "| quadrants | onnx int8 dynamic | dynamic int8 measures one range" in text
    for row in rows:
        assert f"| {row.variant} |" in text


def assert_int8_served(row: Row, served: Sequence[ServedRow]) -> None:
    assert row.agreement == "logits 100.0%"
    assert len(row.speeds) == 2
    (static,) = served
    assert (static.model, static.output, static.rows) == ("quadrants_onnx_int8", "logits", 256)
    assert static.gap == 0
    assert static.beside_fp32 == "100.0% agree (top-1)"


def test_what_cannot_be_made_is_a_row_with_its_reason() -> None:
    (row,), served = compare_precisions(quadrants(), "tests", [Variant("torchscript", "int8")])
    assert not row.missed
    assert row.refusal.startswith("model quadrants: TorchScript is not exported in int8")
    assert served == []
