"""The one policy for customers' records, whatever form they come in.

| found in a field | treated as |
|---|---|
| absent, null, NaN, empty text | missing: imputed by the transform, and counted |
| a field twice in one JSON object | the last of them, as JSON readers commonly do |
| a category that was not in training | the unknown category, and counted |
| a date: ISO 8601 text, as `dates.py` reads it | a point in time |
| a date that is none, such as 31/01/2026 | refused |
| another type: text for a number, a number or a truth value for anything else | refused |
| a text of more than 100,000 characters | refused |
| infinite, or outside the range that the schema allows | refused |
| a field that the schema does not have | refused, with the nearest name |
| none of the fields | refused |

A refusal names the row (from 0) and the field. It is a `RecordError`, and takes the whole request
with it, never another one.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from trimaran.served.dates import as_text, days_of
from trimaran.served.refusal import RefusedError, shortened, shown
from trimaran.served.words import MOST_CHARACTERS

__all__ = ["Field", "RecordError", "RecordReader", "Table"]

_FLOAT32_MAX = 3.4028234663852886e38
_LONGEST_NAME = 120
"""Characters of an unknown field's name that are compared and shown."""
_NUMBER_TYPES: frozenset[type] = frozenset({float, int, type(None)})
_TEXT_TYPES: frozenset[type] = frozenset({str, type(None)})


class RecordError(RefusedError):
    """A record that cannot be used: which row, which field, what was found, what is expected."""


@dataclasses.dataclass(frozen=True)
class Field:
    """One field of a record. `least` and `most` bound a number or a date, both inclusive."""

    name: str
    kind: str
    """`number`, `category`, `date` or `text`; the bounds of a date are days, as in `Table`."""
    least: float | None = None
    most: float | None = None


@dataclasses.dataclass(frozen=True)
class Table:
    """Records by column, as the transform takes them."""

    numbers: npt.NDArray[np.float64]
    """`[rows, number fields + date fields]`, NaN where missing. A number is rounded to float32, so
    that it means the same whether it came as JSON text or as an FP32 tensor. A date is days since
    1970-01-01 UTC."""
    categories: list[list[str | None]]
    """For each category field, its `rows` values; None where missing."""
    texts: list[list[str | None]] = dataclasses.field(default_factory=list)
    """For each text field, likewise."""

    def __len__(self) -> int:
        return len(self.numbers)


class RecordReader:
    """Reads records of the fields given, in their order.

    A record may hold an identifier besides, which is not read: nothing is scored by it.
    """

    def __init__(self, fields: Sequence[Field], identifier: str | None = None) -> None:
        self.numbers = [field for field in fields if field.kind == "number"]
        self.categories = [field for field in fields if field.kind == "category"]
        self.dates = [field for field in fields if field.kind == "date"]
        self.texts = [field for field in fields if field.kind == "text"]
        self._pick_numbers = _picker([field.name for field in self.numbers])
        self._written = [field.name for field in (*self.categories, *self.texts)]
        self._pick_texts = _picker(self._written)
        self._pick_dates = _picker([field.name for field in self.dates])
        self._number_names = [field.name for field in self.numbers]
        self._fields = [field.name for field in fields]
        self.names = [*self._fields, *([identifier] if identifier else [])]
        self._known = frozenset(self.names)
        bounded = self._bounded = [*self.numbers, *self.dates]
        self._least = np.array(
            [-_FLOAT32_MAX if field.least is None else field.least for field in bounded]
        )
        self._most = np.array(
            [_FLOAT32_MAX if field.most is None else field.most for field in bounded]
        )

    def from_json(self, texts: Iterable[bytes | str]) -> Table:
        """Rows of JSON text, each one flat object. Raises `RecordError`."""
        return self.from_records([_parse(row, text) for row, text in enumerate(texts)])

    def from_records(self, records: Sequence[Mapping[str, Any]]) -> Table:
        """Rows of field names and values. Raises `RecordError`."""
        rows, dates = [], []
        written: list[Sequence[str | None]] = []
        names, texts, known = self._number_names, self._written, self._known
        for row, record in enumerate(records):
            if not known.issuperset(record):
                self.refuse_unknown(record, f"row {row}: ")
            values, text = self._pick_numbers(record), self._pick_texts(record)
            if not _NUMBER_TYPES.issuperset(map(type, values)):
                values = self._without_blanks(row, names, values, _NUMBER_TYPES, "a number")
            if not _TEXT_TYPES.issuperset(map(type, text)):
                text = self._without_blanks(row, texts, text, _TEXT_TYPES, "text")
            rows.append(values)
            written.append(text)
            if self.dates:
                dates.append(self.days_of_row(row, self._pick_dates(record)))
        columns = [list(column) for column in zip(*written, strict=True)] or [[] for _ in texts]
        count = len(self.categories)
        return self.from_columns(
            _float_matrix(rows, len(names)),
            columns[:count],
            _float_matrix(dates, len(self.dates)) if self.dates else None,
            columns[count:],
        )

    def days_of_row(self, row: int, values: Sequence[Any]) -> list[float]:
        """The days of one row's date fields, in their order: see `Table`. Raises `RecordError`."""
        days = []
        for field, value in zip(self.dates, values, strict=True):
            try:
                days.append(math.nan if value is None or _is_blank(value) else days_of(value))
            except ValueError:
                found = shown(value)
            except (TypeError, AttributeError):
                found = _describe(value)
            else:
                continue
            raise RecordError(
                f"row {row}: field {field.name!r} is {found}; expected a date as text, such as "
                "2026-01-31 or 2026-01-31T09:30:00Z"
            )
        return days

    def from_columns(
        self,
        numbers: npt.NDArray[np.floating[Any]],
        categories: Sequence[Sequence[str | None]],
        days: npt.NDArray[np.float64] | None = None,
        texts: Sequence[Sequence[str | None]] = (),
    ) -> Table:
        """Columns already separated. Raises `RecordError`.

        `numbers` is `[rows, number fields]`, and `days` `[rows, date fields]`, as in `Table`; a
        table without date fields needs none, and one without text fields no `texts`.
        """
        with np.errstate(over="ignore"):
            rounded = np.asarray(numbers, np.float32).astype(np.float64)
        if days is not None and days.shape[1]:
            rounded = np.concatenate([rounded, days], axis=1)
        if self.texts:
            self._refuse_long(texts)
        self._refuse_empty(rounded, [*categories, *texts])
        outside = (rounded < self._least) | (rounded > self._most)
        if outside.any():
            row, column = map(int, np.argwhere(outside)[0])
            given = numbers if column < len(self.numbers) else rounded
            self._refuse_range(row, self._bounded[column], float(given[row, column]))
        return Table(
            rounded,
            [[value or None for value in column] for column in categories],
            [[text or None for text in column] for column in texts],
        )

    def refuse_unknown(self, names: Iterable[str], where: str = "") -> None:
        """Raise `RecordError` for the first name that is no field, with the nearest one."""
        for name in names:
            if name not in self._known:
                # A longer name is like none of the fields, and would be compared for seconds.
                near = difflib.get_close_matches(name[:_LONGEST_NAME], self.names, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"fields: {', '.join(self.names)}"
                found = shown(name, _LONGEST_NAME)
                raise RecordError(f"{where}there is no field {found}; {hint}")

    def _without_blanks(
        self,
        row: int,
        names: list[str],
        values: Sequence[Any],
        types: frozenset[type],
        expected: str,
    ) -> list[Any]:
        """None for empty text among numbers and for NaN among texts; any other type is refused."""
        values = [None if _is_blank(value) else value for value in values]
        for name, value in zip(names, values, strict=True):
            if type(value) not in types:
                raise RecordError(
                    f"row {row}: field {name!r} is {_describe(value)}; expected {expected}"
                )
        return values

    def _refuse_empty(
        self, numbers: npt.NDArray[np.float64], categories: Sequence[Sequence[str | None]]
    ) -> None:
        missing = np.isnan(numbers)
        if missing.size and not missing.any():
            return
        for row in np.flatnonzero(missing.all(axis=1)).tolist():
            if not any(column[row] for column in categories):
                raise RecordError(
                    f"row {row} holds none of the fields; expected: {', '.join(self._fields)}"
                )

    def _refuse_long(self, texts: Sequence[Sequence[str | None]]) -> None:
        for field, column in zip(self.texts, texts, strict=True):
            for row, text in enumerate(column):
                if text is not None and len(text) > MOST_CHARACTERS:
                    raise RecordError(
                        f"row {row}: field {field.name!r} has {len(text):,} characters; expected "
                        f"{MOST_CHARACTERS:,} at the most"
                    )

    def _refuse_range(self, row: int, field: Field, value: float) -> None:
        form = as_text if field.kind == "date" else "{:g}".format
        low, high = ("any" if bound is None else form(bound) for bound in (field.least, field.most))
        expected = f"between {low} and {high}"
        if abs(value) > _FLOAT32_MAX:
            expected = "a finite number that FP32 can hold"
        raise RecordError(f"row {row}: field {field.name!r} is {form(value)}; expected {expected}")


def _picker(names: list[str]) -> Callable[[Mapping[str, Any]], Sequence[Any]]:
    """A function from a record to the values of some fields, None where it has none."""
    if len(names) < 2:  # itemgetter gives no tuple for one name
        return lambda record: [record.get(name) for name in names]
    every = itemgetter(*names)

    def pick(record: Mapping[str, Any]) -> Sequence[Any]:
        try:
            values: Sequence[Any] = every(record)
        except KeyError:
            values = [record.get(name) for name in names]
        return values

    return pick


def _parse(row: int, text: bytes | str) -> dict[str, Any]:
    try:
        record = orjson.loads(text)
    except orjson.JSONDecodeError:
        record = _parse_leniently(row, text)
    if not isinstance(record, dict):
        raise RecordError(f"row {row} is {_describe(record)}; expected one flat JSON object")
    return record


def _parse_leniently(row: int, text: bytes | str) -> Any:
    """What Python writes as JSON and strict JSON has no word for: NaN and infinity."""
    try:
        return json.loads(text)
    except RecursionError:
        raise RecordError(f"row {row}: not JSON: it is nested too deeply") from None
    except ValueError as error:
        raise RecordError(f"row {row}: not JSON: {shortened(str(error), 200)}") from None


def _float_matrix(rows: Sequence[Sequence[Any]], width: int) -> npt.NDArray[np.float64]:
    """Python numbers and None to float64, NaN for None, infinity for integers beyond its range."""
    try:
        return np.array(rows, dtype=np.float64).reshape(len(rows), width)
    except OverflowError:
        return np.array([[_float(value) for value in row] for row in rows], dtype=np.float64)


def _float(value: float | None) -> float:
    try:
        return math.nan if value is None else float(value)
    except OverflowError:
        return math.inf if value is not None and value > 0 else -math.inf


def _is_blank(value: object) -> bool:
    return value == "" if type(value) is str else type(value) is float and math.isnan(value)


def _describe(value: object) -> str:
    kinds = {str: "text", bool: "a truth value", int: "a number", float: "a number", list: "a list"}
    return f"{kinds.get(type(value), 'an object')} ({shown(value)})"
