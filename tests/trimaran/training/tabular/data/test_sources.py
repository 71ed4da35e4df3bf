"""Tables by name and from CSV files: typed as the schema says, or refused in one sentence."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimaran.served.records import RecordReader
from trimaran.system.csv_table import read_csv
from trimaran.system.errors import TrimaranError, UsageError
from trimaran.training.tabular.data.schema import parse_schema
from trimaran.training.tabular.data.sources import conform, load, mlc_churn, wa_churn
from trimaran.training.tabular.data.validation import require_valid
from trimaran.training.tabular.tasks.binary import Binary

SCHEMA = """
target = "churn"
positive = "yes"
identifier = "id"
leaks = ["churn_date", "reason"]
[fields.minutes]
type = "number"
[fields.state]
type = "category"
"""
HEADER = "id,minutes,state,churn\n"


@pytest.fixture
def schema_path(tmp_path: Path) -> Path:
    path = tmp_path / "small.toml"
    path.write_text(SCHEMA)
    return path


def csv_file(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "small.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_mlc_churn() -> None:
    frame = mlc_churn()
    assert (len(frame), (frame["churn"] == "yes").sum()) == (5000, 707)
    assert "rownames" not in frame
    assert list(frame["customer_id"].iloc[[0, -1]]) == ["mlc-00001", "mlc-05000"]
    assert frame["customer_id"].is_unique


def test_wa_churn() -> None:
    frame = wa_churn()
    assert (len(frame), (frame["churn"] == "Yes").sum()) == (7043, 1869)
    assert frame["total_charges"].isna().sum() == 11
    assert list(frame["customer_id"].iloc[[0, -1]]) == ["wa-00001", "wa-07043"]


@pytest.mark.parametrize(("name", "rows"), [("mlc_churn", 5000), ("wa_churn", 7043)])
def test_a_public_table_brings_its_schema_and_is_valid(name: str, rows: int) -> None:
    dataset = load(name)
    frame, schema = dataset.frame, dataset.schema
    assert list(frame.columns) == schema.columns
    assert frame.index.equals(pd.RangeIndex(rows))
    assert {frame[field.name].dtype for field in schema.numbers} == {np.dtype(np.float64)}
    assert {type(value) for field in schema.categories for value in frame[field.name]} == {str}
    assert name in dataset.source
    require_valid(frame, schema)


def test_a_public_table_is_what_serving_reads() -> None:
    dataset = load("wa_churn")
    schema = dataset.schema
    rows = [
        {name: None if value != value else value for name, value in row.items() if name != "churn"}
        for row in dataset.frame.to_dict("records")
    ]
    table = RecordReader(schema.records_fields(), schema.identifier).from_records(rows)
    assert len(table) == 7043
    assert np.isnan(table.numbers).sum() == 11


def test_a_public_table_can_be_read_with_another_schema(tmp_path: Path) -> None:
    frame = wa_churn()
    leaks = [name for name in frame if name not in ("churn", "female", "tenure")]
    path = tmp_path / "two.toml"
    path.write_text(
        f'target = "churn"\npositive = "Yes"\nleaks = {leaks}\n'
        '[fields.female]\ntype = "category"\n[fields.tenure]\ntype = "number"\n'
    )
    dataset = load("wa_churn", path)
    assert set(dataset.frame["female"]) == {"0", "1"}
    assert len(dataset.notes) == len(leaks)


def test_a_csv_file(tmp_path: Path, schema_path: Path) -> None:
    text = f"\ufeff{HEADER}a,1.5,KS,yes\r\n\nb,,,no\nc, NA ,NA,no\nd,-2e3,'O,H',no\n"
    dataset = load(str(csv_file(tmp_path, text.replace("'", '"'))), schema_path)
    frame = dataset.frame
    assert list(frame.columns) == ["id", "minutes", "state", "churn"]
    assert frame["minutes"].dropna().tolist() == [1.5, -2000.0]
    assert frame["state"].tolist() == ["KS", None, "NA", "O,H"]
    assert frame["churn"].tolist() == ["yes", "no", "no", "no"]
    assert dataset.source == str(tmp_path / "small.csv")
    assert dataset.notes == ()


def test_spaces_around_a_name_or_a_text_are_no_part_of_it(tmp_path: Path) -> None:
    schema = tmp_path / "small.toml"
    schema.write_text(SCHEMA.replace('"yes"', '" yes"'))
    text = "id, minutes,state ,churn\na, 1, KS, yes\n  \nb, 2,KS\xa0, yes\nc,3,KS, no\nd,4, ,no\n"
    dataset = load(csv_file(tmp_path, text), schema)
    assert dataset.schema.task == Binary("yes")
    assert dataset.frame["state"].tolist() == ["KS", "KS", "KS", None]
    joined, outcome = dataset.notes
    assert joined == (
        "the column 'state' holds ' KS' and 'KS', which are one category: spaces around a text are "
        "not part of it (2 texts are joined so)"
    )
    assert outcome.startswith("the column 'churn' holds ' no' and 'no'")


def test_columns_come_in_the_order_of_the_schema(tmp_path: Path, schema_path: Path) -> None:
    path = csv_file(tmp_path, "churn,state,minutes,id\nyes,KS,1,a\n")
    frame = load(path, schema_path).frame
    assert frame.iloc[0].tolist() == ["a", 1.0, "KS", "yes"]


def test_leaks_are_dropped_with_a_note(tmp_path: Path, schema_path: Path) -> None:
    path = csv_file(tmp_path, "id,minutes,state,churn,reason\na,1,KS,yes,moved\n")
    dataset = load(path, schema_path)
    assert "reason" not in dataset.frame
    assert dataset.notes == (
        "the column 'reason' was dropped: the schema lists it as known only after the outcome",
    )


def test_ignored_columns_are_left_out_without_a_word(tmp_path: Path) -> None:
    schema = tmp_path / "small.toml"
    schema.write_text('ignored = ["Bemerkung für später", "never there"]\n' + SCHEMA)
    path = csv_file(tmp_path, "id,minutes,Bemerkung für später,state,churn\na,1,x,KS,yes\n")
    dataset = load(path, schema)
    assert list(dataset.frame.columns) == ["id", "minutes", "state", "churn"]
    assert dataset.notes == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty; it must begin with a line of column names"),
        ("\ufeff", "is empty; it must begin"),
        ("\n\n", "is empty; it must begin"),
        (HEADER, "has a header and no rows; add the records"),
        ("id;minutes;state;churn\na;1;KS;yes\n", "is separated by semicolons, not by commas"),
        ("id\tminutes\tstate\tchurn\n", "is separated by tabs, not by commas"),
        ("id,minutes,state,churn,id\na,1,KS,yes,b\n", "2 columns are named 'id'; rename all but"),
        (",minutes,state,churn\na,1,KS,yes\n", "column 1 has no name; name it in the first line"),
        (f"{HEADER}a,1,KS,yes\nb,1,KS\n", "line 3, has 3 cells, and the header has 4"),
        (f"{HEADER}a,1,K,S,yes\n", "line 2, has 5 cells, and the header has 4; put quotes"),
        (f'{HEADER}a,1,"K\nS",yes\nb,x,KS,no\n', "line 4, column 'minutes': 'x' is not a number"),
        (f'{HEADER}a,1,"KS,yes\n', "the row from line 2: unexpected end of data"),
        (f'{HEADER}a,1,"K"S,yes\n', "the row from line 2: "),
        (f"{HEADER}a,1,{'x' * 200_000},yes\n", "the row from line 2: field larger than"),
        (f"{HEADER}a,1,KS,yes\n".encode("utf-16"), "is UTF-16 text; save it as UTF-8"),
        (f"{HEADER}a,1,KS,yes\n".encode("utf-16-le"), "has NUL characters, as UTF-16 text does"),
        (
            f"{HEADER}a,1,Orléans,yes\n".encode("latin-1"),
            ", line 2, is not UTF-8 text (byte 0xe9)",
        ),
        (f"{HEADER}a,1_000,KS,yes\n", "line 2, column 'minutes': '1_000' is not a number"),
        (f"{HEADER}a,'1,5',KS,yes\n".replace("'", '"'), "column 'minutes': '1,5' is not a number"),
        (f"{HEADER}a,inf,KS,yes\n", "column 'minutes': 'inf' is not a number"),
        (f"{HEADER}a,1e39,KS,yes\n", "'1e39' is not a number that FP32 can hold; write it as"),
        (f"{HEADER}a,0x10,KS,yes\n", "'0x10' is not a number"),
        (f"{HEADER}a,\u0661,KS,yes\n", "'\u0661' is not a number"),
        (
            "id,minute,state,churn\na,1,KS,yes\n",
            "has no column 'minutes', which the schema small needs; did you mean 'minute'?",
        ),
        ("minutes,state,churn\n1,KS,yes\n", "has no column 'id', which the schema small needs"),
        (
            "id,minutes,state,churn,age\na,1,KS,yes,3\n",
            "has the column 'age', which the schema small lacks; add it to the schema as a "
            "field, to its leaks if it is known only after the outcome, or to its ignored columns "
            "to drop it",
        ),
    ],
)
def test_what_is_wrong_in_a_csv_file_is_said(
    tmp_path: Path, schema_path: Path, text: str | bytes, said: str
) -> None:
    path = csv_file(tmp_path, text)
    with pytest.raises(TrimaranError) as refused:
        load(path, schema_path)
    message = str(refused.value)
    assert said in message
    assert message.startswith(str(path))
    assert "\n" not in message


def test_a_name_that_is_nothing_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match="'mlc_chrun' is neither a file nor a public table; did you"
    ):
        load("mlc_chrun")
    with pytest.raises(UsageError, match="is neither a file"):
        load(tmp_path)


def test_a_csv_file_needs_a_schema_or_a_target(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"has no schema small\.toml .* with --target \(choose"):
        load(csv_file(tmp_path, f"{HEADER}1,2,x,yes\n"))


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TrimaranError, match=r"gone\.csv cannot be read: No such file"):
        read_csv(tmp_path / "gone.csv")


finite = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(st.lists(st.one_of(st.none(), finite), min_size=1))
def test_numbers_survive_their_text(numbers: list[float | None]) -> None:
    schema = parse_schema('target="t"\npositive="y"\n[fields.a]\ntype="number"\n', "s")
    texts = ["" if number is None else repr(number) for number in numbers]
    frame, _ = conform(pd.DataFrame({"a": texts, "t": ["y"] * len(texts)}), schema, "here")
    expected = [math.nan if number is None else number for number in numbers]
    np.testing.assert_array_equal(frame["a"], expected)


@given(st.lists(st.lists(st.text(), min_size=2, max_size=2), min_size=1))
def test_any_text_survives_a_csv_file(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]]
) -> None:
    frame = pd.DataFrame(rows, columns=["a", "b"], dtype=object)
    path = tmp_path_factory.mktemp("any") / "any.csv"
    path.write_bytes(frame.to_csv(index=False, quoting=1).encode("utf-8", "replace"))
    read = read_csv(path)
    written = [[cell.encode("utf-8", "replace").decode() for cell in row] for row in rows]
    assert read.to_numpy().tolist() == written
