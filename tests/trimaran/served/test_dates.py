from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimaran.served.dates import Date, Dates, as_text, days_of

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
PARTS = ("weekday", "day", "month_sin", "month_cos", "time_sin", "time_cos")


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("1970-01-01", 0.0),
        (" 1970-01-02 ", 1.0),
        ("1969-12-31T12:00", -0.5),
        ("2026-01-31 18:00:00", 20484.75),
        ("2026-01-31T18:00:00.000+06:00", 20484.5),
        ("2026-01-31T00:00-0600", 20484.25),
        ("2026-01-31t06:00:00z", 20484.25),
        ("2026-01-31 06:00:00,5 +00", 20484.25 + 0.5 / 86400),
    ],
)
def test_a_date_is_days_in_utc(text: str, days: float) -> None:
    assert days_of(text) == pytest.approx(days, abs=1e-9)


@pytest.mark.parametrize("text", ["", "  ", "NA", "n/a", "NaT", "None", "null"])
def test_words_for_nothing_are_missing(text: str) -> None:
    assert math.isnan(days_of(text))


@pytest.mark.parametrize(
    "text",
    [
        *("03/04/2020", "31.01.2026", "2026/01/31", "20260131", "2026-1-31", "2026-W05-6", "today"),
        *("2026-02-30", "2026-13-01", "0000-01-01", "2026-01-31T24:00", "2026-01-31T10:60"),
        *("2026-01-31T10", "2026-01-31T10:00+24:00", "2026-01-31 +01:00", "+2026-01-31"),
    ],
)
def test_no_other_text_is_a_date(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        days_of(text)


@given(st.datetimes(min_value=datetime(1, 1, 1), max_value=datetime(9999, 12, 31)))
def test_a_date_survives_as_text_to_the_second(moment: datetime) -> None:
    days = days_of(moment.isoformat())
    assert days_of(as_text(days)) == pytest.approx(days, abs=1 / 86400)
    whole = moment.date().isoformat()
    assert as_text(days_of(whole)) == whole


@given(st.floats(-700_000, 2_900_000))
def test_parts_are_those_of_the_calendar(days: float) -> None:
    moment = EPOCH + timedelta(days=math.floor(days))
    month, time = 2 * math.pi * (moment.month - 1) / 12, 2 * math.pi * (days % 1)
    expected = [
        *(moment.isoweekday(), moment.day, math.sin(month), math.cos(month)),
        *(math.sin(time), math.cos(time)),
    ]
    dates = Dates([Date("d", PARTS, 0.0, None)], 0)
    found = dates.columns(np.array([[days], [math.nan]]))
    np.testing.assert_allclose(found[0], expected, atol=1e-9)
    assert np.isnan(found[1]).all()


def test_days_are_counted_to_another_date_or_to_the_newest_in_training() -> None:
    fields = [Date("up", ("days",), 90.0, "call"), Date("call", ("weekday", "days"), 100.0, None)]
    numbers = np.array([[7.0, 30.0, 90.5], [8.0, 30.0, math.nan], [9.0, math.nan, 101.0]])
    dates = Dates(fields, 1)
    found = dates.columns(numbers)
    np.testing.assert_array_equal(found[:, 0], [7, 8, 9])
    np.testing.assert_array_equal(found[:, 1], [60.5, math.nan, math.nan])
    np.testing.assert_array_equal(found[:, 3], [9.5, math.nan, -1])
    np.testing.assert_array_equal(dates.counted(numbers), found[:, [0, 1, 3]])
    assert fields[0].columns == ["up_days"]
