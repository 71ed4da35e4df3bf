from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest

from trimaran.system.errors import TrimaranError, UsageError
from trimaran.training.tabular.data.inference import infer_schema, schema_text
from trimaran.training.tabular.data.schema import Schema, parse_schema
from trimaran.training.tabular.data.sources import load
from trimaran.training.tabular.tasks.binary import Binary
from trimaran.training.tabular.tasks.multiclass import Multiclass
from trimaran.training.tabular.tasks.regression import Regression
from trimaran.training.tabular.tasks.task import Task

ROWS = 30


def table(**columns: Sequence[object]) -> pd.DataFrame:
    """Thirty rows as they are read from a CSV file, with a target, and the columns given."""
    whole: dict[str, Sequence[object]] = {
        "left": ["yes", "no", "no"] * 10,
        "age": [str(20 + row % 7) for row in range(ROWS)],
        **columns,
    }
    return pd.DataFrame(whole, dtype=object, index=pd.RangeIndex(2, ROWS + 2, name="line"))


def inferred(**columns: Sequence[object]) -> Schema:
    return infer_schema(table(**columns), "t", "left")[0]


@pytest.mark.parametrize(
    ("cells", "place"),
    [
        (["1.5", "", "NA"] * 10, "number"),
        (["0", "1", "1"] * 10, "number"),
        (["month", "year", ""] * 10, "category"),
        (["true", "false", "true"] * 10, "category"),
        ([f"k-{row}" for row in range(ROWS)], "a text of each row"),
        ([str(row + 1) for row in range(ROWS)], "counts the rows"),
        (["2026-01-31", "2025-12-01 10:00:00", ""] * 10, "date"),
        ([f"2026-01-{row + 1:02}T10:00Z" for row in range(ROWS)], "date"),
        (["a long text, " * 9, "and another one, " * 9, ""] * 10, "holds long texts; describe it"),
        (["same"] * ROWS, "is 'same' in every row"),
        ([""] * ROWS, "is empty"),
    ],
)
def test_a_column_is_a_field_or_left_out_with_the_reason(cells: list[str], place: str) -> None:
    schema, notes = infer_schema(table(x=cells), "t", "left")
    kinds = {field.name: field.kind for field in schema.fields}
    if place in ("number", "category", "date"):
        assert (kinds["x"], notes) == (place, ())
    elif place == "a text of each row":
        assert notes == ("the column 'x' is ignored: it has 30 different texts in 30 rows",)
    else:
        assert schema.ignored == ("x",)
        assert len(notes) == 1
        assert notes[0].startswith(f"the column 'x' is ignored: it {place}")


@pytest.mark.parametrize(
    ("cells", "problem"),
    [
        (["1", "2"] * 14 + ["3", "many"], "line 31, column 'x': 'many' is no number, and most"),
        (["1,5", "2,25"] * 15, "line 2, column 'x': '1,5' has a decimal comma; write numbers as"),
        (["1.234,5", "7"] * 15, "line 2, column 'x': '1.234,5' has a decimal comma"),
        (["03/04/2020", ""] * 15, "line 2, column 'x': '03/04/2020' does not say which is the day"),
        (["2026-01-31", "31.01.26"] * 15, "line 3, column 'x': '31.01.26' does not say which is"),
        (["2026-01-31"] * 29 + ["soon"], "line 31, column 'x': 'soon' is no date, and most cells"),
    ],
)
def test_a_damaged_column_is_refused_with_its_cell(cells: list[str], problem: str) -> None:
    with pytest.raises(TrimaranError) as refused:
        inferred(x=cells)
    assert problem in str(refused.value)


def test_the_first_key_is_the_identifier() -> None:
    keys = [f"k-{row}" for row in range(ROWS)]
    schema = inferred(customer_id=keys, order_id=keys)
    assert (schema.identifier, schema.ignored) == ("customer_id", ("order_id",))


@pytest.mark.parametrize(
    ("cells", "positive"),
    [
        (["no", "yes", "yes"] * 10, "yes"),
        (["0", "1", "1"] * 10, "1"),
        (["stays", "stays", "goes"] * 10, "goes"),
        ([True, True, False] * 10, "True"),
    ],
)
def test_what_means_yes_is_predicted_or_else_the_rarer_value(
    cells: list[object], positive: str
) -> None:
    assert inferred(left=cells).task == Binary(positive)


@pytest.mark.parametrize(
    ("cells", "task"),
    [
        (["red", "green", "blue"] * 10, Multiclass()),
        (["1", "2", "3"] * 10, Multiclass()),
        ([f"{row / 7:.2f}" for row in range(ROWS)], Regression()),
    ],
)
def test_the_target_decides_the_task(cells: list[str], task: Task) -> None:
    schema = inferred(left=cells)
    assert schema.task == task
    assert parse_schema(schema_text(schema), "t") == schema


def test_what_a_person_says_decides_first() -> None:
    target = ["1", "2", "3"] * 10
    schema, _ = infer_schema(table(left=target), "t", "left", task="regression")
    assert schema.task == Regression()
    schema, _ = infer_schema(table(left=target), "t", "left", positive="2")
    assert schema.task == Binary("2")
    with pytest.raises(UsageError, match="--task is 'multi'; did you mean 'multiclass'"):
        infer_schema(table(), "t", "left", task="multi")
    with pytest.raises(UsageError, match="--positive is for --task binary"):
        infer_schema(table(), "t", "left", task="regression", positive="yes")


def test_a_table_needs_its_target_and_something_to_learn_from() -> None:
    with pytest.raises(TrimaranError, match="no column 'lft' to predict; did you mean 'left'"):
        infer_schema(table(), "t", "lft")
    with pytest.raises(TrimaranError, match="no column besides 'left' can be learned from"):
        infer_schema(table().drop(columns="age"), "t", "left")
    wide = {f"c{number}": ["1"] * ROWS for number in range(5000)}
    with pytest.raises(TrimaranError, match="has 5002 columns, and a record may have 1000 fields"):
        inferred(**wide)


def test_the_file_says_what_was_inferred_and_is_read_from_then_on(tmp_path: Path) -> None:
    path = tmp_path / "shop.csv"
    odd = 'a "q" \\ ü'
    table(**{odd: ["x", "y", "x"] * 10}).reset_index(drop=True).to_csv(path)  # with pandas' index
    found = load(path, target="left")
    assert "shop.toml was written" in found.notes[0]
    written = tmp_path / "shop.toml"
    assert parse_schema(written.read_text(encoding="utf-8"), "shop") == found.schema
    assert parse_schema(schema_text(found.schema), "shop") == found.schema
    assert [field.name for field in found.schema.fields] == ["age", odd]
    written.write_text(written.read_text().replace('"yes"', '"no"'), encoding="utf-8")
    again = load(path, target="left")
    assert (again.schema.task, again.notes) == (Binary("no"), ())
    with pytest.raises(TrimaranError, match="has positive = 'no', and --positive is 'yes'"):
        load(path, positive="yes")


def test_the_option_names_the_time_and_overrides_the_file(tmp_path: Path) -> None:
    path, schema = tmp_path / "shop.csv", tmp_path / "shop.toml"
    days = [f"2026-01-{row + 1:02}" for row in range(ROWS)]
    table(on=days, later=days[::-1], note=["x"] * ROWS).to_csv(path, index=False)
    for wrong in ("note", "onn"):
        with pytest.raises(UsageError, match=f"--time is '{wrong}', which is no column of dates"):
            load(path, target="left", time=wrong)
        assert not schema.exists()
    assert load(path, target="left", time="on").schema.time == "on"
    assert load(path).schema.time == "on"
    assert load(path, time="later").schema.time == "later"
    text = schema.read_text().replace('ignored = ["note"]', 'ignored = ["note", "later"]')
    schema.write_text(text.replace('[fields.later]\ntype = "date"\n', ""))
    found = load(path, time="later")
    assert [field.name for field in found.schema.fields] == ["age", "on"]
    assert found.frame["later"].tolist() == [20484.0 - row - 1 for row in range(ROWS)]
    with pytest.raises(TrimaranError, match="time is 'age', which is described as something else"):
        load(path, time="age")
