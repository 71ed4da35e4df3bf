"""Dates: how a text becomes a point in time, and which numbers a model gets of it.

A date is ISO 8601 text, `2026-01-31`, with or without a time of day: `2026-01-31T09:30`,
`2026-01-31 09:30:15.5+01:00`. It is read as the days since 1970-01-01 in UTC, float64, the time of
day being the fraction. A date alone is its midnight. A time with a zone is converted to UTC; one
without a zone is taken for UTC. Empty text and `NA`, `N/A`, `NaN`, `NaT`, `null` and `none`, in any
case, are missing.

| part | number |
|---|---|
| `days` | from the date to another date of the row, or to the newest in training |
| `weekday` | 1 on Monday to 7 on Sunday |
| `day` | the day of the month |
| `month_sin`, `month_cos` | the month, on a circle: December is next to January |
| `time_sin`, `time_cos` | the time of day, on a circle |
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np
import numpy.typing as npt

__all__ = ["DAYS", "Date", "Dates", "as_text", "days_of"]

Floats = npt.NDArray[np.float64]

DAYS = "days"
_WEEKDAY = "weekday"

_EPOCH = date(1970, 1, 1).toordinal()
_EARLIEST, _LATEST = 1 - _EPOCH, date.max.toordinal() - _EPOCH
_DAY_S = 86_400
_CIRCLE = 2 * np.pi
_HOURS, _SIXTIETHS = 23, 59
_MISSING = frozenset({"", "na", "n/a", "nan", "nat", "null", "none"})
_DATE = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)"
    r"(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?\s?(?:[Zz]|([+-])(\d\d)(?::?(\d\d))?)?)?",
    re.ASCII,
)


def days_of(text: str) -> float:
    """The days from 1970-01-01 UTC to a date; NaN where it is missing.

    Raises `ValueError` for a text that is no date, or no date that exists.
    """
    text = text.strip()
    found = _DATE.fullmatch(text)
    if found is None:
        if text.lower() in _MISSING:
            return np.nan
        raise ValueError("not an ISO 8601 date")
    year, month, day, hour, minute, second, fraction, sign, *zone = found.groups()
    days = date(int(year), int(month), int(day)).toordinal() - _EPOCH
    if hour is None:
        return float(days)
    hours, minutes, seconds = int(hour), int(minute), int(second or 0)
    ahead_h, ahead_min = (int(each or 0) for each in zone)
    if max(hours, ahead_h) > _HOURS or max(minutes, seconds, ahead_min) > _SIXTIETHS:
        raise ValueError("no time of day")
    ahead_s = (ahead_h * 60 + ahead_min) * 60 * (-1 if sign == "-" else 1)
    of_day_s = (hours * 60 + minutes) * 60 + seconds - ahead_s
    return days + (of_day_s + float(f"0.{fraction or 0}")) / _DAY_S


def as_text(days: float) -> str:
    """The ISO 8601 text of a date, which `days_of` reads; to the second, without `T` at midnight.

    A date before the year 1 or after 9999 is the first or the last that a text can be.
    """
    held = min(max(days, _EARLIEST), _LATEST)
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=round(held * _DAY_S))
    text = moment.replace(tzinfo=None).isoformat()
    return text.removesuffix("T00:00:00")


@dataclass(frozen=True)
class Date:
    """The columns that a date field becomes, `<name>_<part>`."""

    name: str
    parts: Sequence[str]
    newest: float
    """The newest date in training, as `days_of` gives it."""
    as_of: str | None
    """The date field to which the part `days` counts; None for `newest`."""

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return [f"{self.name}_{part}" for part in self.parts]

    @property
    def counted(self) -> str:
        """The column whose distribution is counted: of the part `days`, or else `weekday`."""
        return f"{self.name}_{self.counted_part}"

    @property
    def counted_part(self) -> str:
        """The part of `counted`."""
        return DAYS if DAYS in self.parts else _WEEKDAY


class Dates:
    """Replaces the date fields of a table, which come after its number fields, by columns."""

    def __init__(self, dates: Sequence[Date], number_fields: int) -> None:
        self._dates = dates
        self._numbers = number_fields
        self._places = {date.name: place for place, date in enumerate(dates, number_fields)}

    def columns(self, numbers: Floats) -> Floats:
        """`[rows, number fields + date fields]` to `[rows, number fields + columns]`.

        A column is NaN where a date that it needs is missing.
        """
        return self._with([(date, part) for date in self._dates for part in date.parts], numbers)

    def counted(self, numbers: Floats) -> Floats:
        """As `columns`, with the one column of each date that is counted."""
        return self._with([(date, date.counted_part) for date in self._dates], numbers)

    def _with(self, parts: Sequence[tuple[Date, str]], numbers: Floats) -> Floats:
        made = [self._part(numbers, date, part) for date, part in parts]
        return np.column_stack([numbers[:, : self._numbers], *made])

    def _part(self, numbers: Floats, date: Date, part: str) -> Floats:
        days = numbers[:, self._places[date.name]]
        if part != DAYS:
            return _PARTS[part](days)
        end = date.newest if date.as_of is None else numbers[:, self._places[date.as_of]]
        return end - days


def _weekday(days: Floats) -> Floats:
    return (np.floor(days) + 3) % 7 + 1  # 1970-01-01 was a Thursday


def _day(days: Floats) -> Floats:
    whole = _whole(days)
    first = whole.astype("datetime64[M]").astype("datetime64[D]")
    return _where_present(days, (whole - first).astype(np.float64) + 1)


def _of_month(wave: Callable[[Floats], Floats]) -> Callable[[Floats], Floats]:
    def part(days: Floats) -> Floats:
        months = _whole(days).astype("datetime64[M]").astype(np.int64) % 12
        return _where_present(days, wave((months / 12).astype(np.float64) * _CIRCLE))

    return part


def _of_time(wave: Callable[[Floats], Floats]) -> Callable[[Floats], Floats]:
    return lambda days: wave((days % 1) * _CIRCLE)


def _whole(days: Floats) -> npt.NDArray[np.datetime64]:
    return np.floor(np.nan_to_num(days)).astype(np.int64).astype("datetime64[D]")


def _where_present(days: Floats, values: Floats) -> Floats:
    return np.where(np.isnan(days), np.nan, values)


_PARTS: Mapping[str, Callable[[Floats], Floats]] = {
    _WEEKDAY: _weekday,
    "day": _day,
    "month_sin": _of_month(np.sin),
    "month_cos": _of_month(np.cos),
    "time_sin": _of_time(np.sin),
    "time_cos": _of_time(np.cos),
}
"""The parts of a date alone: from its days, float64 `[rows]`, NaN where missing, to numbers."""
