from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import pytest

from loadtests.records import draw_records
from trimaran.repository.repository import Repository
from trimaran.served.dates import Date, days_of
from trimaran.served.distribution import Feature, Reference
from trimaran.served.records import Field, RecordReader

FIELDS = [
    {"name": "age", "kind": "number", "least": 18.0, "most": None},
    {"name": "plan", "kind": "category", "least": None, "most": None},
    {"name": "up", "kind": "date", "least": None, "most": None},
    {"name": "note", "kind": "text", "least": None, "most": None},
    {"name": "call", "kind": "date", "least": None, "most": None},
]
FEATURES = [
    Feature("age", "number", [0, 500, 300, 200], edges=[20.0, 40.0]),
    Feature("up_days", "number", [1000, 0, 0], edges=[30.0]),
    Feature("call_weekday", "number", [0, 1000, 0, 0], edges=[6.0, 7.0]),
    Feature("note_words", "number", [0, 1000, 0, 0], edges=[2.0, 3.0]),
    Feature("plan", "category", [700, 0, 300, 0], values=["year", "month"]),
    Feature("t_probability", "answer", [1, 1], edges=[0.5]),
]


@pytest.fixture(scope="module")
def version(churn_trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    newest = Repository.open(churn_trained / "model_repository").newest("churn_record")
    assert newest is not None
    made = tmp_path_factory.mktemp("version")
    transform = json.loads((newest.path / "transform.json").read_text())
    end = days_of("2026-01-31")
    dates = [Date("up", ["days"], end, "call"), Date("call", [], end, None)]
    transform |= {"fields": FIELDS, "identifier": "id", "dates": [asdict(date) for date in dates]}
    transform |= {"texts": [{"name": "note", "terms": ["slow"], "weights": [1.5]}]}
    (made / "transform.json").write_text(json.dumps(transform))
    (made / "reference.json").write_text(Reference(FEATURES).to_json())
    return made


def test_each_field_is_drawn_as_it_was_in_training(version: Path) -> None:
    records = draw_records(version, 1000, seed=1)
    assert records == draw_records(version, 1000, seed=1)
    assert records != draw_records(version, 1000, seed=2)
    ages = [record["age"] for record in records if "age" in record]
    assert len(ages) == pytest.approx(800, abs=50)
    assert sum(20 <= age < 40 for age in ages) == pytest.approx(500, abs=60)
    assert (min(ages) >= 20, max(ages) <= 60) == (True, True)
    plans = Counter(record.get("plan") for record in records)
    assert set(plans) == {"year", None}
    assert plans["year"] == pytest.approx(700, abs=60)
    assert {record["call"] for record in records} == {"2026-01-31"}  # the Saturday of that week
    assert {record["note"] for record in records} == {"slow slow"}
    assert all("2026-01-01" <= record["up"] <= "2026-01-31" for record in records)
    assert len({record["id"] for record in records}) == 1000


def test_a_served_model_takes_them(version: Path) -> None:
    fields = [Field(f["name"], f["kind"], f["least"], f["most"]) for f in FIELDS]  # type: ignore[arg-type]
    records = draw_records(version, 200, seed=0)
    assert len(RecordReader(fields, "id").from_records(records)) == len(records)
