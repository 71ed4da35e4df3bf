from __future__ import annotations

import json
import math
import re
from typing import Any

import numpy as np
import pytest

from trimaran.served.records import Field, RecordError, RecordReader, Table

FIELDS = [
    Field("tenure", "number", 0, 1200),
    Field("contract", "category"),
    Field("balance", "number"),
    Field("region", "category"),
]
READER = RecordReader(FIELDS, "customer_id")
GOOD: dict[str, Any] = {"tenure": 3, "contract": "yearly", "balance": -2.5, "region": "north"}


def one(**changes: Any) -> Table:
    return READER.from_json([json.dumps({**GOOD, **changes})])


def refused(*texts: bytes | str) -> str:
    with pytest.raises(RecordError) as caught:
        READER.from_json(texts)
    return str(caught.value)


def columns(
    numbers: list[list[float]], *categories: list[str | None], reader: RecordReader = READER
) -> Table:
    matrix = np.array(numbers, np.float32).reshape(len(numbers), len(reader.numbers))
    return reader.from_columns(matrix, categories)


def test_a_record_is_read_by_the_names_of_its_fields() -> None:
    table = READER.from_json(['{"region": "n", "balance": 1, "customer_id": "c", "tenure": 2.5}'])
    assert table.numbers.tolist() == [[2.5, 1.0]]
    assert table.numbers.dtype == np.float64
    assert table.categories == [[None], ["n"]]
    assert len(table) == 1


def test_numbers_are_rounded_to_float32_in_either_form() -> None:
    text = one(balance=0.1).numbers
    tensor = columns([[3, 0.1]], ["yearly"], ["north"]).numbers
    assert text.tolist() == tensor.tolist() == [[3.0, float(np.float32(0.1))]]


@pytest.mark.parametrize("blank", ["null", "NaN", '""', "absent"])
def test_a_blank_is_missing_in_any_field(blank: str) -> None:
    for name in GOOD:
        record = {key: json.dumps(value) for key, value in GOOD.items() if key != name}
        if blank != "absent":
            record[name] = blank
        text = "{" + ", ".join(f'"{key}": {value}' for key, value in record.items()) + "}"
        table = READER.from_json([text])
        lacking = {
            "tenure": math.isnan(table.numbers[0, 0]),
            "balance": math.isnan(table.numbers[0, 1]),
            "contract": table.categories[0][0] is None,
            "region": table.categories[1][0] is None,
        }
        assert [key for key, value in lacking.items() if value] == [name]


@pytest.mark.parametrize("blank", [None, ""])
def test_a_blank_is_missing_in_columns(blank: str | None) -> None:
    table = columns([[math.nan, 1.0]], [blank], ["x"])
    assert np.isnan(table.numbers).tolist() == [[True, False]]
    assert table.categories == [[None], ["x"]]


def test_categories_never_seen_before_are_left_to_the_transform() -> None:
    assert one(contract="Ünknown ☃").categories[0] == ["Ünknown ☃"]


@pytest.mark.parametrize(
    ("name", "value", "described", "expected"),
    [
        ("tenure", "3", "text ('3')", "a number"),
        ("tenure", True, "a truth value (True)", "a number"),
        ("tenure", [3], "a list ([3])", "a number"),
        ("tenure", {"value": 3}, "an object ({'value': 3})", "a number"),
        ("contract", 3, "a number (3)", "text"),
        ("contract", 3.5, "a number (3.5)", "text"),
        ("contract", False, "a truth value (False)", "text"),
        ("contract", ["yearly"], "a list (['yearly'])", "text"),
        ("tenure", "x" * 90, f"text ('{'x' * 36}...)", "a number"),
    ],
)
def test_another_type_is_refused(name: str, value: Any, described: str, expected: str) -> None:
    message = refused(json.dumps(GOOD), json.dumps({**GOOD, name: value}))
    assert message == f"row 1: field {name!r} is {described}; expected {expected}"


@pytest.mark.parametrize(
    ("name", "literal", "message"),
    [
        ("tenure", "-1", "is -1; expected between 0 and 1200"),
        ("tenure", "1200.001", "is 1200; expected between 0 and 1200"),
        ("tenure", "Infinity", "is inf; expected a finite number that FP32 can hold"),
        ("balance", "-Infinity", "is -inf; expected a finite number that FP32 can hold"),
        ("balance", "1e39", "is 1e+39; expected a finite number that FP32 can hold"),
        ("balance", "1" + "0" * 400, "is inf; expected a finite number that FP32 can hold"),
        ("balance", "-1" + "0" * 400, "is -inf; expected a finite number that FP32 can hold"),
        ("tenure", "1" + "0" * 30, "is 1e+30; expected between 0 and 1200"),
    ],
)
def test_what_is_infinite_or_out_of_range_is_refused(name: str, literal: str, message: str) -> None:
    text = json.dumps({**GOOD, name: "HERE"}).replace('"HERE"', literal)
    assert refused(json.dumps(GOOD), json.dumps(GOOD), text) == f"row 2: field {name!r} {message}"


@pytest.mark.parametrize("value", [math.inf, -math.inf, 1201, -0.5])
def test_columns_have_the_same_ranges(value: float) -> None:
    with pytest.raises(RecordError, match=r"^row 1: field 'tenure' is "):
        columns([[1, 1], [value, 1]], ["a", "b"], ["a", "b"])


@pytest.mark.parametrize("value", [0, 1200])
def test_bounds_are_inclusive(value: float) -> None:
    assert one(tenure=value).numbers[0, 0] == value


def test_the_largest_float32_is_in_range() -> None:
    most = float(np.finfo(np.float32).max)
    assert one(balance=-most).numbers[0, 1] == -most


def test_integers_beyond_64_bits_that_float32_holds_are_numbers() -> None:
    assert one(balance=10**20).numbers[0, 1] == float(np.float32(1e20))


def test_an_integer_of_too_many_digits_is_refused() -> None:
    text = json.dumps({**GOOD, "balance": 0}).replace(" 0", " " + "9" * 5000)
    assert refused(text).startswith("row 0: not JSON: ")


def test_an_unknown_field_is_refused_with_the_nearest_name() -> None:
    message = refused(json.dumps(GOOD), json.dumps({**GOOD, "tenur": 4}))
    assert message == "row 1: there is no field 'tenur'; did you mean 'tenure'?"
    message = refused(json.dumps({"zzz": 4}))
    assert message == (
        "row 0: there is no field 'zzz'; fields: tenure, contract, balance, region, customer_id"
    )


def test_a_name_can_be_refused_without_a_row() -> None:
    with pytest.raises(RecordError, match=r"^there is no field 'regin'; did you mean 'region'\?$"):
        READER.refuse_unknown(["tenure", "regin"])


@pytest.mark.parametrize("text", ["{}", '{"customer_id": "c"}', '{"tenure": null, "region": ""}'])
def test_a_record_of_none_of_the_fields_is_refused(text: str) -> None:
    assert refused(json.dumps(GOOD), text) == (
        "row 1 holds none of the fields; expected: tenure, contract, balance, region"
    )


def test_columns_of_none_of_the_fields_are_refused() -> None:
    with pytest.raises(RecordError, match=r"^row 1 holds none of the fields; expected: tenure, "):
        columns([[1, 1], [math.nan, math.nan]], ["a", ""], ["a", None])


def test_one_category_alone_is_a_record() -> None:
    assert READER.from_json(['{"region": "x"}']).categories == [[None], ["x"]]


def test_the_last_of_two_equal_names_counts() -> None:
    assert READER.from_json(['{"tenure": 1, "tenure": 2}']).numbers[0, 0] == 2


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"tenure=1",
        b'{"tenure": 1} x',
        b'{"region": "\xff"}',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"tenure": ' + b"[" * 100_000,
        "\ufeff{}",
    ],
)
def test_what_is_not_json_is_refused(text: bytes | str) -> None:
    assert refused(json.dumps(GOOD), text).startswith("row 1: not JSON: ")


@pytest.mark.parametrize(
    ("text", "described"),
    [
        ("[1]", "a list ([1])"),
        ("null", "an object (None)"),
        ("3", "a number (3)"),
        ('"x"', "text ('x')"),
        ("true", "a truth value (True)"),
    ],
)
def test_what_is_no_object_is_refused(text: str, described: str) -> None:
    assert refused(text) == f"row 0 is {described}; expected one flat JSON object"


def test_an_identifier_is_not_read() -> None:
    named = READER.from_json(['{"tenure": 1, "customer_id": [7]}'])
    assert named.numbers[0, 0] == 1.0


def test_bytes_and_text_are_the_same() -> None:
    text = json.dumps({**GOOD, "region": "Zürich"}, ensure_ascii=False)
    assert READER.from_json([text]).categories == READER.from_json([text.encode()]).categories


def test_an_empty_batch_is_an_empty_table() -> None:
    for table in (READER.from_json([]), columns([], [], [])):
        assert len(table) == 0
        assert table.numbers.size == 0
        assert table.categories == [[], []]


def test_ten_thousand_rows_keep_their_order() -> None:
    rows = range(10_000)
    table = READER.from_json(
        json.dumps({"balance": row, "region": f"r{row}", "customer_id": f"c{row}"}) for row in rows
    )
    assert table.numbers[:, 1].tolist() == list(rows)
    assert table.categories[1] == [f"r{row}" for row in rows]


def test_the_row_is_named_among_ten_thousand() -> None:
    texts = [json.dumps(GOOD)] * 10_000
    texts[9_876] = json.dumps({**GOOD, "tenure": 5000})
    assert refused(*texts) == "row 9876: field 'tenure' is 5000; expected between 0 and 1200"


def test_fields_of_one_kind_only() -> None:
    numbers = RecordReader([Field("a", "number")])
    assert numbers.from_json(['{"a": 1}', '{"a": 2}']).numbers.tolist() == [[1.0], [2.0]]
    texts = RecordReader([Field("b", "category")])
    table = texts.from_json(['{"b": "x"}', '{"b": "y"}'])
    assert table.numbers.shape == (2, 0)
    assert table.categories == [["x", "y"]]
    with pytest.raises(RecordError, match=r"^row 0 holds none"):
        texts.from_json(['{"b": null}'])
    with pytest.raises(RecordError, match="no field 'customer_id'"):
        texts.from_json(['{"b": "x", "customer_id": "c"}'])


DATED = RecordReader([Field("on", "date", 0.0, 20_000.0), Field("calls", "number")], None)


def test_a_date_is_read_from_text_as_days() -> None:
    table = DATED.from_records([{"on": "1970-01-02T12:00", "calls": 0.1}, {"on": "NA", "calls": 2}])
    np.testing.assert_array_equal(table.numbers, [[np.float32(0.1), 1.5], [2.0, math.nan]])
    with pytest.raises(RecordError, match="row 0 holds none of the fields; expected: on, calls"):
        DATED.from_records([{"on": None}])


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("03/04/2020", "'03/04/2020'; expected a date as text, such as 2026-01-31 or"),
        (20260131, "a number (20260131); expected a date as text"),
        (True, "a truth value (True); expected a date as text"),
        (["2026-01-31"], "a list"),
        ("1969-12-31", "1969-12-31; expected between 1970-01-01 and 2024-10-04"),
    ],
)
def test_what_is_no_date_is_refused_with_its_field(value: object, found: str) -> None:
    with pytest.raises(RecordError) as caught:
        DATED.from_records([{"calls": 1, "on": "2020-01-31"}, {"calls": 1, "on": value}])
    assert f"row 1: field 'on' is {found}" in str(caught.value)


def test_a_text_is_read_as_it_is_written_up_to_its_longest() -> None:
    reader = RecordReader([Field("note", "text"), Field("plan", "category")])
    table = reader.from_records([{"note": " a b "}, {"plan": "x", "note": ""}])
    assert (table.texts, table.categories) == ([[" a b ", None]], [[None, "x"]])
    for value, found in ((3, "a number (3); expected text"), ("x" * 100_001, "100,001 characters")):
        with pytest.raises(RecordError, match=re.escape(found)):
            reader.from_records([{"note": value}])
