"""A record's schema and the policy for records say the same, of every kind of field."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from trimaran.gateway.record_schemas import RecordTable
from trimaran.served.dates import Date, days_of
from trimaran.served.distribution import Feature
from trimaran.served.records import Field, RecordError, RecordReader
from trimaran.served.transform import Category, TransformData
from trimaran.served.words import Text

FIELDS = [
    {"name": "age", "kind": "number", "least": 18.0, "most": None},
    {"name": "plan", "kind": "category", "least": None, "most": None},
    {"name": "joined", "kind": "date", "least": None, "most": None},
    {"name": "note", "kind": "text", "least": None, "most": None},
]
TABLE = RecordTable(
    TransformData(
        fields=FIELDS,
        identifier="customer",
        fill=[0.0],
        low=[None],
        high=[None],
        flags=[],
        neighbours=None,
        categories=[Category("plan", ["month", "year"], [[0.0]] * 4, ["plan"])],
        derived=[],
        bins=[],
        outputs=["age"],
        shift=[0.0],
        factor=[1.0],
        dates=[Date("joined", ["days"], days_of("2026-01-31T09:00"), None)],
        texts=[Text("note", ["a lot", "great", "slow"], [1.0, 1.0, 1.0])],
    ),
    {
        "age": Feature("age", "number", [1, 4, 4, 1, 0], edges=[30.0, 40.0, 50.0]),
        "plan": Feature("plan", "category", [2, 8, 9, 0], values=["month", "year"]),
    },
)
READER = RecordReader([Field(**field) for field in FIELDS], "customer")


@pytest.mark.parametrize(
    "record",
    [
        TABLE.example(),
        {"age": 18, "plan": "year"},
        {"age": 17.9},
        {"age": 3.4028235677973362e38},
        {"age": 3.402823567797337e38},
        {"age": 40, "customer": "a"},
        {"customer": "a"},
        {"plan": "never seen"},
        {"plan": ""},
        {"plan": "", "age": 40},
        {"plan": 5},
        {"joined": "2026-01-31"},
        {"joined": "2026-01-31T09:30:00Z"},
        {"joined": "2026-01-31T09:30:00+01:00", "note": ""},
        {"joined": "31/01/2026"},
        {"joined": "2026-02-30"},
        {"joined": ""},
        {"joined": "", "age": 40},
        {"joined": 20260131},
        {"note": "great"},
        {"note": "x" * 100_000},
        {"note": "x" * 100_001},
        {"agee": 40},
    ],
)
def test_the_schema_allows_what_the_policy_takes(record: dict[str, Any]) -> None:
    checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
    allowed = jsonschema.Draft202012Validator(TABLE.schema(), format_checker=checker)
    try:
        READER.from_records([record])
    except RecordError:
        assert not allowed.is_valid(record)
    else:
        assert allowed.is_valid(record)


def test_an_example_is_what_was_common_in_training() -> None:
    assert TABLE.example() == {
        "age": 40.0,
        "plan": "year",
        "joined": "2026-01-31",
        "note": "great slow",
    }
