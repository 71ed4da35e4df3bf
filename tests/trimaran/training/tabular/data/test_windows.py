from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from trimaran.served.dates import as_text
from trimaran.system.errors import TrimaranError
from trimaran.training.tabular.data.schema import parse_schema
from trimaran.training.tabular.data.sources import load
from trimaran.training.tabular.data.windows import Window, with_windows

FIRST = 20_000
WINDOWS = [
    Window("calls_7d", "calls.csv", "who", "on", "count", 7),
    Window("sum_7d", "calls.csv", "who", "on", "sum", 7, "minutes"),
    Window("mean_3d", "calls.csv", "who", "on", "mean", 3, "minutes"),
]


def tables(rows: int = 60, entries: int = 400) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Whole days, so that many entries have the very date of a row, or lie on a window's edge."""
    chance = np.random.default_rng(0)
    raw = pd.DataFrame(
        {
            "who": chance.integers(0, 8, rows).astype(str),
            "seen": [as_text(FIRST + day) for day in chance.integers(10, 30, rows)],
        }
    )
    minutes = np.where(chance.random(entries) < 0.1, np.nan, chance.uniform(0, 9, entries).round(2))
    days = chance.integers(0, 40, entries)
    who = chance.integers(0, 6, entries)
    calls = {"who": who, "on": [as_text(FIRST + day) for day in days], "minutes": minutes}
    return raw, pd.DataFrame(calls)


def made(raw: pd.DataFrame, calls: pd.DataFrame, folder: Path) -> tuple[pd.DataFrame, str]:
    calls.to_csv(folder / "calls.csv", index=False)
    found, notes = with_windows(raw, WINDOWS, "seen", folder, "rows")
    return found, "; ".join(notes)


def test_a_row_sees_its_own_entries_before_its_date_and_no_other(tmp_path: Path) -> None:
    raw, calls = tables()
    raw.loc[3, "who"] = ""
    found, notes = made(raw, calls, tmp_path)
    assert notes == ""
    for place, (who, seen) in enumerate(zip(raw["who"], raw["seen"], strict=True)):
        mine = calls[(calls["who"].astype(str) == who) & (calls["on"] < seen)]
        age = (pd.Timestamp(seen) - pd.to_datetime(mine["on"])).dt.days
        week, days = mine[age <= 7]["minutes"], mine[age <= 3]["minutes"]
        expected = [len(week), week.sum(), days.mean()] if who else [np.nan] * 3
        given = found.loc[place, ["calls_7d", "sum_7d", "mean_3d"]].to_numpy(np.float64)
        np.testing.assert_allclose(given, np.array(expected, np.float64), atol=1e-9)
    assert found["calls_7d"].max() > 5
    assert found["mean_3d"].isna().any()


def test_what_comes_later_changes_nothing(tmp_path: Path) -> None:
    raw, calls = tables()
    before, _ = made(raw, calls, tmp_path)
    later = [seen for seen in raw["seen"] for _ in range(2)]
    who = [each for each in raw["who"] for _ in range(2)]
    more = pd.DataFrame({"who": who, "on": later, "minutes": 99.0})
    latest = more[more.groupby("who")["on"].transform("max") == more["on"]]
    after, _ = made(raw, pd.concat([calls, latest]), tmp_path)
    pd.testing.assert_frame_equal(before, after)


def test_what_a_history_lacks_is_noted(tmp_path: Path) -> None:
    raw, calls = tables()
    calls = calls[calls["on"] >= as_text(FIRST + 5)].reset_index(drop=True)
    calls.loc[:1, "on"] = ""
    _, notes = made(raw, calls, tmp_path)
    assert notes.count("2 rows are without a date in 'on' of ") == 1
    assert "calls.csv does not reach 7 days back for" in notes
    assert "whose 'calls_7d' may be too small" in notes


TOML = """
target = "left"
positive = "yes"
time = "seen"
ignored = ["who"]
[fields.age]
type = "number"
[[windows]]
name = "calls_7d"
history = "calls.csv"
key = "who"
date = "on"
function = "count"
days = 7
"""


def test_a_schema_makes_number_fields_of_them(tmp_path: Path) -> None:
    raw, calls = tables()
    calls.to_csv(tmp_path / "calls.csv", index=False)
    raw.assign(age=1, left="yes").to_csv(tmp_path / "shop.csv", index=False)
    (tmp_path / "shop.toml").write_text(TOML)
    found = load(tmp_path / "shop.csv")
    assert [(field.name, field.kind) for field in found.schema.fields] == [
        ("age", "number"),
        ("calls_7d", "number"),
    ]
    assert found.frame["calls_7d"].tolist() == made(raw, calls, tmp_path)[0]["calls_7d"].tolist()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"count"', '"max"', "has the function 'max'; choose from count, sum, mean"),
        ('"count"', '"sum"', "is a sum, and has no value; name the column of numbers"),
        ("days = 7", 'days = 7\nvalue = "minutes"', "is a count, which has no value; leave it out"),
        ("days = 7", "days = 0", "has 0 days; give more than 0"),
        ("days = 7", 'days = "7"', "the window 'calls_7d': days is '7'; expected a number"),
        ("days = 7", "dasy = 7", "there is no key 'dasy'; did you mean 'days'"),
        ('history = "calls.csv"', "", "the window 'calls_7d': history is missing"),
        ('time = "seen"', "", "ends at the date of its row; name the column of that date as time"),
        (
            'age]\ntype = "number"',
            'calls_7d]\ntype = "category"',
            "the window 'calls_7d' is described as something else than a number",
        ),
        ("[[windows]]", "[windows]", "windows is {"),
    ],
)
def test_a_window_that_cannot_be_is_refused(old: str, new: str, said: str) -> None:
    with pytest.raises(TrimaranError) as refused:
        parse_schema(TOML.replace(old, new), "shop")
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"who": None}, "calls.csv has no column 'who', which a window needs"),
        ({"on": "03/04/2020"}, "line 2, column 'on': '03/04/2020' is not a date"),
        ({"minutes": "many"}, "line 2, column 'minutes': 'many' is not a number"),
    ],
)
def test_a_history_that_does_not_fit_is_refused(
    change: dict[str, object], said: str, tmp_path: Path
) -> None:
    raw, calls = tables()
    ((name, value),) = change.items()
    changed = calls.drop(columns=name) if value is None else calls.assign(**{name: value})
    with pytest.raises(TrimaranError) as refused:
        made(raw, changed, tmp_path)
    assert said in str(refused.value)
    with pytest.raises(TrimaranError, match="has the column 'sum_7d', which a window makes"):
        made(raw.assign(sum_7d=1), calls, tmp_path)
