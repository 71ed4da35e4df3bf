"""`trimaran predict --input` of CSV against the real server."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.running import Served
from tests.trimaran.calling import Outcome, call_trimaran
from trimaran.training.tabular.data.sources import load

DATA = load("mlc_churn")
FRAME = DATA.frame.drop(columns=DATA.schema.target)


def predict(served: Served, source: Path, *options: str | Path, model: str = "churn") -> Outcome:
    return call_trimaran(
        "predict", model, "--input", source, *options, "--repository", served.repository.root
    )


def write(path: Path, frame: pd.DataFrame) -> Path:
    frame.to_csv(path, index=False)
    return path


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_every_row_in_order(
    churn_served: Served, churn_trained: Path, tmp_path: Path, protocol: str
) -> None:
    source, out = write(tmp_path / "customers.csv", FRAME), tmp_path / "scored.csv"
    result = predict(churn_served, source, "--output", out, "--protocol", protocol)
    assert result.status == 0, result.stderr
    assert "5000 rows scored" in result.stdout
    rows = read(out)
    assert list(rows[0]) == [*FRAME.columns, "churn_probability", "churn_prediction"]
    (predictions,) = churn_trained.glob("runs/churn/*/predictions.csv")
    expected = read(predictions)
    assert [row["customer_id"] for row in rows] == [row["identifier"] for row in expected]
    found = np.array([float(row["churn_probability"]) for row in rows])
    assert np.abs(found - np.array([float(row["probability"]) for row in expected])).max() < 1e-5
    assert {row["churn_prediction"] for row in rows} == {"true", "false"}
    assert not (tmp_path / "scored.refused.csv").exists()


BAD_CELLS: dict[int, tuple[str, str, str]] = {
    3: ("account_length", "-4", "field 'account_length' is -4; expected between 0 and"),
    400: ("total_day_minutes", "abc", "field 'total_day_minutes' is 'abc'; expected a number"),
    599: ("total_day_minutes", "1_000", "is '1_000'; expected a number"),
    600: ("total_day_minutes", "inf", "is 'inf'; expected a number that FP32 can hold"),
    601: ("total_eve_charge", "1e39", "is '1e39'; expected a number that FP32 can hold"),
}


def test_unusable_rows_go_to_a_file_of_their_own(churn_served: Served, tmp_path: Path) -> None:
    cells = FRAME.iloc[:1000].astype(object)
    for place, (column, cell, _) in BAD_CELLS.items():
        cells.iloc[place, cells.columns.get_loc(column)] = cell
    cells.iloc[700, cells.columns.get_loc("state")] = "Atlantis"
    cells.iloc[701, cells.columns.get_loc("total_day_minutes")] = ""
    source = write(tmp_path / "customers.csv", cells)
    lines = source.read_text().splitlines()
    lines[900] += ",9"
    lines[901] = lines[901].replace(",", ',"', 1)
    source.write_text("\n".join(lines))
    out, refused = tmp_path / "scored.csv", tmp_path / "bad.csv"
    result = predict(churn_served, source, "--output", out, "--refused", refused)
    assert result.status == 1
    assert f"7 rows were refused; {refused} says why" in result.stderr
    rows = read(refused)
    assert [int(row["line"]) for row in rows] == [*(place + 2 for place in BAD_CELLS), 901, 902]
    for row, (_, _, reason) in zip(rows, BAD_CELLS.values(), strict=False):
        assert reason in row["reason"]
    assert rows[-1]["reason"] == "unexpected end of data; check its quotes"
    assert rows[-1]["customer_id"] == lines[901]
    assert rows[-2]["reason"] == "has 21 cells; the header has 20"
    kept = [row["customer_id"] for row in read(out)]
    lost = {FRAME["customer_id"].iloc[place] for place in (*BAD_CELLS, 899, 900)}
    assert kept == [name for name in FRAME["customer_id"].iloc[:1000] if name not in lost]


def test_cells_are_read_as_in_training(churn_served: Served, tmp_path: Path) -> None:
    rows = ["OH,300,a", " OH ,NA,a", "\xa0OH,null,a", '"OH"," ",a']
    text = "\ufeff\n,state ,total_day_minutes,customer_id\n \n" + "\n\n".join(
        f"{place},{row}" for place, row in enumerate(rows)
    )
    (tmp_path / "padded.csv").write_text(text)
    out = tmp_path / "scored.csv"
    result = predict(churn_served, tmp_path / "padded.csv", "--output", out, "--ignore", "")
    assert result.status == 0, result.stderr
    first, *missing = [row["churn_probability"] for row in read(out)]
    assert len(missing) == 3
    assert set(missing) != {first}
    assert len(set(missing)) == 1


@pytest.mark.parametrize("formulas", [False, True])
def test_no_cell_is_a_formula(churn_served: Served, tmp_path: Path, formulas: bool) -> None:
    cells = ["=1+1", "+a", "-a", "@a", "-1.5", "plain"]
    source = tmp_path / "cells.csv"
    source.write_text("state,customer_id\n" + "".join(f"OH,{cell}\n" for cell in cells))
    out = tmp_path / "scored.csv"
    assert predict(churn_served, source, "--output", out, *["--formulas"] * formulas).status == 0
    found = [row["customer_id"] for row in read(out)]
    assert found == (cells if formulas else [*(f"'{cell}" for cell in cells[:4]), *cells[4:]])


def test_columns_that_are_no_inputs(churn_served: Served, tmp_path: Path) -> None:
    source, out = write(tmp_path / "customers.csv", DATA.frame.iloc[:20]), tmp_path / "scored.csv"
    result = predict(churn_served, source, "--output", out)
    assert result.status == 2
    assert "churn has no input 'churn'" in result.stderr
    assert not out.exists()
    result = predict(churn_served, source, "--output", out, "--ignore", "churn")
    assert result.status == 0, result.stderr
    assert [row["churn"] for row in read(out)] == DATA.frame["churn"].iloc[:20].tolist()


def test_a_model_of_json_text_is_scored_by_a_column_of_texts(
    churn_served: Served, tmp_path: Path
) -> None:
    fields, out = write(tmp_path / "fields.csv", FRAME.iloc[:20]), tmp_path / "scored.csv"
    result = predict(churn_served, fields, "--output", out, model="churn_record")
    assert result.error.startswith("column 'RECORD' is missing, which churn_record needs")
    assert not out.exists()
    records = FRAME.iloc[:20].drop(columns="customer_id").to_dict("records")
    texts = pd.DataFrame(
        {"customer_id": FRAME["customer_id"].iloc[:20], "RECORD": list(map(json.dumps, records))}
    )
    source = write(tmp_path / "texts.csv", texts)
    result = predict(churn_served, source, "--output", out, model="churn_record")
    assert result.status == 0, result.stderr
    found = read(out)
    assert predict(churn_served, fields, "--output", out).status == 0
    for names in ("customer_id", "churn_prediction"):
        assert [row[names] for row in found] == [row[names] for row in read(out)]


HEADERS: dict[str, tuple[str, str]] = {
    "misspelt": ("sttae,account_length\nOH,1\n", "no input 'sttae'; did you mean 'state'?"),
    "twice": ("state,state\nOH,OH\n", "2 columns are named 'state'"),
    "an index": (
        ",state\n0,OH\n",
        "column 1 has no name; name it in the first line, or leave it out",
    ),
    "semicolons": ("state;account_length\nOH;1\n", "is separated by semicolons"),
    "empty": ("", "has no header"),
    "an output": ("state,churn_probability\nOH,1\n", "has no input 'churn_probability'"),
    "not text": ("state\n\udce9\n", ", line 2, is not UTF-8 text (byte 0xe9)"),
    "an open quote": ('"state\nKS\n', "the row from line 1: unexpected end of data"),
}


@pytest.mark.parametrize("case", HEADERS)
def test_a_file_that_does_not_fit_leaves_nothing(
    churn_served: Served, tmp_path: Path, case: str
) -> None:
    text, message = HEADERS[case]
    source, out = tmp_path / "customers.csv", tmp_path / "out" / "scored.csv"
    source.write_bytes(text.encode(errors="surrogateescape"))
    result = predict(churn_served, source, "--output", out)
    assert result.status == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert not out.parent.exists() or list(out.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "--input FILE.csv and --output FILE go together"),
        (["--output", "customers.csv"], "must be three different files"),
        (["--output", "o.csv", "--ignore", "nothing"], "--ignore nothing: there is no such column"),
    ],
)
def test_wrong_usage(
    churn_served: Served, tmp_path: Path, options: Sequence[Any], message: str
) -> None:
    source = write(tmp_path / "customers.csv", FRAME.iloc[:5])
    paths = [tmp_path / option if option.endswith(".csv") else option for option in options]
    result = predict(churn_served, source, *paths)
    assert result.status == 2
    assert message in result.stderr


def test_a_model_of_tensors_takes_no_csv(churn_served: Served, tmp_path: Path) -> None:
    source = write(tmp_path / "customers.csv", FRAME.iloc[:5])
    result = predict(churn_served, source, "--output", tmp_path / "o.csv", model="churn_onnx")
    assert result.status == 2
    assert "is not one number or text for each row" in result.stderr


def test_a_server_that_is_gone_leaves_nothing(churn_served: Served, tmp_path: Path) -> None:
    source, out = write(tmp_path / "customers.csv", FRAME.iloc[:5]), tmp_path / "o.csv"
    for protocol in ("http", "grpc"):
        result = predict(
            churn_served, source, "--output", out, "--protocol", protocol,
            "--http-port", "1", "--grpc-port", "1",
        )  # fmt: skip
        assert result.status == 1
        assert "no server answers at" in result.stderr
        assert [path.name for path in tmp_path.iterdir()] == ["customers.csv"]
