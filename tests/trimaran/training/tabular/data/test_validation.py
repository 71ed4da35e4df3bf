"""Every finding appears where it should, and only there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimaran.system.errors import TrimaranError
from trimaran.training.tabular.data.schema import FieldSchema, Schema
from trimaran.training.tabular.data.sources import Dataset, load
from trimaran.training.tabular.data.validation import Finding, require_valid, validate
from trimaran.training.tabular.evaluation.separation import (
    LEAK_AUC,
    encoded_auc,
    missingness_auc,
    rank_auc,
    value_auc,
)
from trimaran.training.tabular.tasks.binary import Binary

ROWS = 200
SCHEMA = Schema(
    "small",
    "churn",
    Binary("yes"),
    (
        FieldSchema("minutes", "number", 0, 1440),
        FieldSchema("calls", "number", whole=True),
        FieldSchema("state", "category", values=("KS", "OH", "NJ")),
        FieldSchema("city", "category"),
        FieldSchema("joined", "date", most=20_000),
    ),
    "id",
)


@pytest.fixture
def frame() -> pd.DataFrame:
    """A table with which nothing is wrong."""
    chance = np.random.default_rng(5)
    columns = {
        "id": [f"c{row}" for row in range(ROWS)],
        "minutes": chance.uniform(0, 1440, ROWS),
        "calls": chance.integers(0, 9, ROWS).astype(np.float64),
        "state": chance.choice(["KS", "OH", "NJ"], ROWS).astype(object),
        "city": chance.choice([f"city {i}" for i in range(30)], ROWS).astype(object),
        "joined": chance.integers(15_000, 20_000, ROWS).astype(np.float64),
        "churn": np.where(np.arange(ROWS) % 5 == 0, "yes", "no").astype(object),
    }
    return pd.DataFrame({name: pd.Series(values) for name, values in columns.items()})


@pytest.fixture(scope="module")
def mlc() -> Dataset:
    return load("mlc_churn")


def put(frame: pd.DataFrame, column: str, row: int, value: object) -> pd.DataFrame:
    changed = frame.astype({column: object})
    changed.loc[row, column] = value
    return changed.astype({column: np.float64}) if isinstance(value, float) else changed


def test_a_good_table_has_no_findings(frame: pd.DataFrame) -> None:
    assert validate(frame, SCHEMA) == []
    assert require_valid(frame, SCHEMA) == []


@pytest.mark.parametrize(
    ("column", "row", "value", "said"),
    [
        ("minutes", 7, 1441.0, "1 value is outside 0 to 1440, such as 1441 in row 8; correct"),
        ("minutes", 0, -0.5, "1 value is outside 0 to 1440, such as -0.5 in row 1"),
        ("minutes", 3, np.inf, "1 value is infinite, such as inf in row 4; leave such a cell"),
        ("calls", 3, 1e39, "1 value is outside -3.40282e+38 to 3.40282e+38, such as 1e+39"),
        ("calls", 3, 2.5, "1 value is not whole, such as 2.5 in row 4; correct the data, or"),
        ("calls", 3, "two", "is not a number; convert the column"),
        ("state", 9, "KSS", "1 value is not among those of the schema, such as 'KSS' in row 10"),
        ("state", 9, "KSS", "add the value (did you mean 'KS'?)"),
        ("city", 9, 12, "1 value is not text, such as '12' in row 10; convert the column"),
        ("joined", 9, 20_001.0, "outside least and most, such as '2024-10-05' in row 10; correct"),
        ("churn", 9, None, "1 row is without a target; remove them"),
        ("churn", 9, "maybe", "exactly two values, and this has 3 ('maybe', 'no', 'yes'); join"),
        ("id", 9, "c3", "1 identifier is there twice, such as 'c3' in row 10; keep one row"),
    ],
)
def test_errors(frame: pd.DataFrame, column: str, row: int, value: object, said: str) -> None:
    found = validate(put(frame, column, row, value), SCHEMA)
    assert [(finding.column, finding.severity) for finding in found] == [(column, "error")]
    assert said in found[0].message


@pytest.mark.parametrize(
    ("column", "row", "value", "said"),
    [
        ("city", 9, " city 1", "1 value is padded with spaces, such as ' city 1' in row 10"),
        ("joined", 9, -36_000.0, "1 value is before 1900 or after 2199, such as '1871-06-09' in"),
        ("id", 9, None, "1 row is without an identifier"),
    ],
)
def test_warnings(frame: pd.DataFrame, column: str, row: int, value: object, said: str) -> None:
    found = validate(put(frame, column, row, value), SCHEMA)
    assert [(finding.column, finding.severity) for finding in found] == [(column, "warning")]
    assert said in found[0].message


def test_rows_that_are_split_by_time_need_one(frame: pd.DataFrame) -> None:
    frame.loc[9, "joined"] = np.nan
    assert list(map(str, validate(frame, replace(SCHEMA, time="joined")))) == [
        "'joined': 1 row is without a date, and the rows are split by it; remove them"
    ]


@pytest.mark.parametrize(("missing", "warned"), [(140, False), (141, True)])
def test_more_than_seven_tenths_missing(frame: pd.DataFrame, missing: int, warned: bool) -> None:
    frame.loc[frame.index[:missing], "minutes"] = np.nan
    said = [str(found) for found in validate(frame, SCHEMA) if found.column is not None]
    expected = ["'minutes': 70% of the values are missing; the field will be dropped"]
    assert said == (expected if warned else [])


def test_a_field_without_a_value(frame: pd.DataFrame) -> None:
    frame["minutes"], frame["city"] = np.nan, None
    said = [str(found) for found in validate(frame, SCHEMA) if found.column is not None]
    assert said == [
        "'minutes': 100% of the values are missing; the field will be dropped",
        "'city': 100% of the values are missing; the field will be dropped",
    ]


def test_a_constant_field(frame: pd.DataFrame) -> None:
    frame["calls"] = 3.0
    assert list(map(str, validate(frame, SCHEMA))) == [
        "'calls': every value is 3; a model can learn nothing from the field"
    ]
    frame.loc[5, "calls"] = np.nan
    assert validate(frame, SCHEMA)[0].message.endswith(
        "from the field, except whether it is missing"
    )


def test_rows_that_are_there_twice(frame: pd.DataFrame) -> None:
    repeated = pd.concat([frame, frame.iloc[[4, 5]].assign(id=["x", "y"])])
    (found,) = validate(repeated, SCHEMA)
    assert (found.column, found.severity) == (None, "warning")
    assert found.message.startswith(
        "2 rows are the same as an earlier one in every field, the first is row 201;"
    )


def test_a_row_without_a_value_in_any_field(frame: pd.DataFrame) -> None:
    fields = [field.name for field in SCHEMA.fields]
    frame.loc[6, fields] = None
    (found,) = validate(frame, SCHEMA)
    assert (found.column, found.severity) == (None, "error")
    assert found.message == (
        "1 row is without a value in any field, the first is row 7; remove them"
    )
    frame.loc[6, "city"] = "city 1"
    assert validate(frame, SCHEMA) == []


def test_an_outcome_of_too_few_rows(frame: pd.DataFrame) -> None:
    frame["churn"] = ["yes"] * 20 + ["no"] * (ROWS - 20)
    assert validate(frame, SCHEMA) == []
    frame.loc[0, "churn"] = "no"
    (found,) = validate(frame, SCHEMA)
    assert str(found).startswith("'churn': 19 rows are 'yes'; to train, validate and test it takes")
    frame["churn"] = frame["churn"].map({"yes": "no", "no": "yes"})
    assert str(validate(frame, SCHEMA)[0]).startswith("'churn': 19 rows are 'no'; to train")


def test_a_target_of_one_value(frame: pd.DataFrame) -> None:
    said = [str(finding) for finding in validate(frame.assign(churn="no"), SCHEMA)]
    assert said[0].startswith("'churn': a target has exactly two values, and this has 1 ('no')")
    assert said[1] == "'churn': no row has the positive value 'yes'; choose from no"


def test_a_table_without_targets_rows_or_columns(frame: pd.DataFrame) -> None:
    said = [str(finding) for finding in validate(frame.assign(churn=None), SCHEMA)]
    assert said[0] == "'churn': 200 rows are without a target; remove them"
    assert validate(frame[:0], SCHEMA) == [Finding(None, "error", "there are no rows; add records")]
    assert validate(frame.drop(columns="city"), SCHEMA) == [
        Finding("city", "error", "the column is missing; add it")
    ]


def leaking(frame: pd.DataFrame, values: pd.Series, kind: str) -> list[Finding]:
    schema = Schema("s", "churn", Binary("yes"), (*SCHEMA.fields, FieldSchema("extra", kind)), "id")
    found = validate(frame.assign(extra=values), schema)
    return [finding for finding in found if finding.column == "extra"]


def test_leaks_are_errors(frame: pd.DataFrame) -> None:
    left = frame["churn"] == "yes"
    wave = pd.Series(np.arange(ROWS) % 7, dtype=np.float64)
    names = frame["id"]
    for what, values, kind in (
        ("its value alone", left.astype(np.float64), "number"),
        ("its value alone", 1000.0 * ~left + wave, "number"),
        ("its value alone", (2.0 * (wave % 2)).where(~left, 1.0), "number"),
        ("its value alone", wave.astype(str).where(~left, "left"), "category"),
        ("whether it is missing alone", wave.where(left), "number"),
        ("whether it is missing alone", names.where(left, None), "category"),
    ):
        errors = [found for found in leaking(frame, values, kind) if found.severity == "error"]
        assert [found.message.partition(" predicts")[0] for found in errors] == [what]
        assert "move the column from the schema's fields to its leaks" in errors[0].message


def test_what_only_looks_like_a_leak_is_none(frame: pd.DataFrame) -> None:
    left = (frame["churn"] == "yes").to_numpy()
    (found,) = leaking(frame, frame["id"], "category")
    assert found.severity == "warning"
    assert found.message.startswith("nearly as many values as rows (200 in 200)")
    strong = pd.Series(np.where(left, 10.0, 0.0) + np.arange(ROWS) % 12)
    assert leaking(frame, strong, "number") == []
    few = frame[:20]
    assert leaking(few, pd.Series(left[:20].astype(float)), "number") == []


def test_a_rare_outcome_does_not_make_many_categories_a_leak() -> None:
    chance = np.random.default_rng(1)
    positive = np.zeros(20_000, dtype=bool)
    positive[:20] = True
    codes = chance.integers(0, 2000, len(positive))
    auc = encoded_auc(codes, positive)
    assert auc is not None
    assert auc < 0.9


@pytest.mark.parametrize("kind", ["value", "category", "missing"])
def test_a_leak_planted_in_real_data_is_refused(mlc: Dataset, kind: str) -> None:
    left = mlc.frame["churn"] == "yes"
    chance = np.random.default_rng(0)
    planted = {
        "value": pd.Series(chance.normal(size=5000) + 20 * left),
        "category": left.map({True: "cancelled", False: "active"}).astype(object),
        "missing": pd.Series(chance.uniform(0, 365, 5000)).where(left),
    }[kind]
    field = FieldSchema("planted", "category" if kind == "category" else "number")
    schema = Schema("s", "churn", Binary("yes"), (*mlc.schema.fields, field), "customer_id")
    frame = mlc.frame.assign(planted=planted)
    with pytest.raises(TrimaranError, match=r"mine cannot be trained on: 'planted': .*leaks"):
        require_valid(frame, schema, "mine")
    require_valid(frame, mlc.schema)


def test_the_first_errors_are_named_and_the_others_counted(frame: pd.DataFrame) -> None:
    bad = frame.assign(minutes=-1.0, calls=0.5, state="?", city=4, churn="perhaps")
    with pytest.raises(TrimaranError) as refused:
        require_valid(bad, SCHEMA)
    message = str(refused.value)
    assert message.startswith("the table cannot be trained on: 'churn': a target has exactly two")
    assert message.endswith("; and 3 more, which 'trimaran explore' lists")
    assert "\n" not in message


scores = st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=25, max_size=80)


@given(scores)
def test_the_rank_auc_counts_pairs(drawn: list[tuple[int, bool]]) -> None:
    values = np.array([value for value, _ in drawn], dtype=np.float64)
    positive = np.array([flag for _, flag in drawn])
    auc = rank_auc(values, positive)
    if min(positive.sum(), (~positive).sum()) < 10:
        assert auc is None
        return
    apart = values[positive][:, None] - values[~positive]
    assert auc == pytest.approx(np.mean((apart > 0) + 0.5 * (apart == 0)))


@given(st.integers(0, 2**32 - 1))
def test_chance_is_never_a_leak(seed: int) -> None:
    chance = np.random.default_rng(seed)
    positive = chance.uniform(size=60) < 0.4
    for column in (
        pd.Series(chance.normal(size=60)),
        pd.Series(chance.integers(0, 3, 60).astype(str), dtype=object),
        pd.Series(np.arange(60).astype(str), dtype=object),
        pd.Series(np.where(chance.uniform(size=60) < 0.5, np.nan, 1.0)),
    ):
        for auc in (value_auc(column, positive), missingness_auc(column, positive)):
            assert auc is None or auc < LEAK_AUC
