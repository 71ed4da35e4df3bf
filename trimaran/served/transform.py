"""A fitted transform: one JSON file of numbers and vocabularies, and the code that applies it.

Training and serving apply it with this same code. Each date is first replaced by number columns,
its parts (`trimaran.served.dates`). Then, in order:

1. **fill**: a missing number becomes its column's fill value, or the mean of its nearest
   neighbours among stored rows;
2. **clip**: each number is held between the outlier bounds found in training;
3. **look up**: each category is a row of its table: one-hot, ordinal and target encoding are all
   tables. Their last two rows are the missing and the unknown category. Flags say which numbers
   were missing. Texts become the columns of their terms (`trimaran.served.words`);
4. **derive**: sums, differences, products, ratios and logarithms of columns so far;
5. **bin**: the bin that a column falls into is a row of a table as well;
6. **select and scale**: `(column - shift) * factor`, held within what float32 can hold.

Every operation is element by element, so a row's result does not depend on its batch.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from trimaran.served.dates import Date, Dates
from trimaran.served.words import Text, Texts

__all__ = ["Bins", "Category", "Derived", "Neighbours", "Transform", "TransformData"]

FORMAT = 1
_FLOAT32_MAX = 3.4028234663852886e38
Matrix = npt.NDArray[np.float64]
Columns = Sequence[Sequence[str | None]]


@dataclass(frozen=True)
class Category:
    """A category field's table, float `[len(vocabulary) + 2, width]`: missing, then unknown."""

    name: str
    vocabulary: Sequence[str]
    table: Sequence[Sequence[float]]
    columns: Sequence[str]
    """The names of the table's columns."""


@dataclass(frozen=True)
class Derived:
    """A new column from others, by name. A ratio by zero is zero; a logarithm is log(1 + |x|)."""

    name: str
    operation: str
    """`sum`, `difference`, `product`, `ratio` or `log`."""
    of: Sequence[str]


@dataclass(frozen=True)
class Bins:
    """The bin of a column: bin i holds edges[i - 1] <= x < edges[i]; a table row for each."""

    of: str
    edges: Sequence[float]
    table: Sequence[Sequence[float]]
    columns: Sequence[str]


@dataclass(frozen=True)
class Neighbours:
    """Rows of training numbers, complete, from which missing numbers are imputed.

    A missing number becomes its mean over the `count` rows that are nearest by the Euclidean
    distance of the row's present numbers, each divided by its `spread`. A row without any number
    has no neighbours, and keeps the fill values.
    """

    columns: Sequence[str]
    """The fields imputed this way."""
    rows: Sequence[Sequence[float]]
    """`[stored rows, number fields]`."""
    spread: Sequence[float]
    count: int


@dataclass(frozen=True)
class TransformData:
    """A fitted transform's values, as in its file."""

    fields: Sequence[dict[str, Any]]
    """What a record may hold: `name`, `kind` as in `records.Field`, `least`, `most`."""
    identifier: str | None
    fill: Sequence[float]
    """Of each number field, then of each column of `dates`, as are `low` and `high`."""
    low: Sequence[float | None]
    high: Sequence[float | None]
    flags: Sequence[str]
    """Number and date fields whose absence is a separate column, `<name>_missing`."""
    neighbours: Neighbours | None
    categories: Sequence[Category]
    derived: Sequence[Derived]
    bins: Sequence[Bins]
    outputs: Sequence[str]
    shift: Sequence[float]
    factor: Sequence[float]
    dates: Sequence[Date] = ()
    texts: Sequence[Text] = ()

    def to_json(self) -> str:
        """The file's text. Python's floats survive it exactly."""
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=1, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> TransformData:
        """Read a file's text. Raises `ValueError` for another format."""
        data = json.loads(text)
        found = data.pop("format", None)
        if found != FORMAT:
            raise ValueError(f"the transform has format {found}; this code reads {FORMAT}")
        neighbours = data.pop("neighbours")
        return cls(
            categories=[Category(**entry) for entry in data.pop("categories")],
            derived=[Derived(**entry) for entry in data.pop("derived")],
            bins=[Bins(**entry) for entry in data.pop("bins")],
            texts=tuple(Text(**entry) for entry in data.pop("texts", ())),
            dates=tuple(Date(**entry) for entry in data.pop("dates", ())),
            neighbours=None if neighbours is None else Neighbours(**neighbours),
            **data,
        )


class Transform:
    """A fitted transform, ready to apply."""

    def __init__(self, data: TransformData) -> None:
        self.data = data
        self.number_names = [f["name"] for f in data.fields if f["kind"] == "number"]
        self.date_names = [date.name for date in data.dates]
        self.category_names = [category.name for category in data.categories]
        read = [*self.number_names, *self.date_names]
        position = {name: index for index, name in enumerate(read)}
        self._texts = Texts(data.texts)
        self._dates = Dates(data.dates, len(self.number_names))
        self._fill = np.array(data.fill, dtype=np.float64)
        self._low = _bounds(data.low, -np.inf)
        self._high = _bounds(data.high, np.inf)
        self._vocabularies = [_Codes(category.vocabulary) for category in data.categories]
        self._tables = [np.array(category.table, np.float64) for category in data.categories]
        self._flags = np.array([position[name] for name in data.flags], dtype=np.int64)
        self._neighbours = None if data.neighbours is None else _Imputer(data.neighbours, position)
        self._bins = [(np.array(b.edges), np.array(b.table, np.float64)) for b in data.bins]
        names = [*self.number_names, *(name for date in data.dates for name in date.columns)]
        for category in data.categories:
            names += category.columns
        for text in data.texts:
            names += text.columns
        names += [f"{name}_missing" for name in data.flags]
        place = {name: index for index, name in enumerate(names)}
        self._derived = []
        for derived in data.derived:
            self._derived.append((_OPERATIONS[derived.operation], [place[n] for n in derived.of]))
            place[derived.name] = len(place)
        self._binned = [place[bins.of] for bins in data.bins]
        self._base_width, self._width = len(names), len(place)
        for bins in data.bins:
            for name in bins.columns:
                place[name] = len(place)
        self._select = np.array([place[name] for name in data.outputs], dtype=np.int64)
        self._shift = np.array(data.shift, dtype=np.float64)
        self._factor = np.array(data.factor, dtype=np.float64)

    @classmethod
    def read(cls, path: Path) -> Transform:
        """Read a transform from its file."""
        return cls(TransformData.from_json(path.read_text(encoding="utf-8")))

    @property
    def outputs(self) -> list[str]:
        """The names of the columns that `apply` gives."""
        return list(self.data.outputs)

    def encode(self, categories: Sequence[Sequence[str | None]]) -> npt.NDArray[np.int64]:
        """Category columns to codes, int64 `[category fields, rows]`.

        A value's code is its place in the vocabulary, exactly or else without the spaces around
        both; missing comes after the last, unknown after that.
        """
        codes = [
            [vocabulary[value] for value in column]
            for vocabulary, column in zip(self._vocabularies, categories, strict=True)
        ]
        rows = len(categories[0]) if categories else 0
        return np.array(codes, dtype=np.int64).reshape(len(self._vocabularies), rows)

    def apply(
        self, numbers: Matrix, codes: npt.NDArray[np.int64], texts: Columns = ()
    ) -> npt.NDArray[np.float32]:
        """Features, float32 `[rows, len(outputs)]`.

        `numbers` is float64 `[rows, number fields + date fields]`, NaN where missing, as in
        `records.Table`, as are the `texts` of each text field; `codes` comes from `encode`.
        """
        missing = np.isnan(numbers)
        if self.data.dates:
            columns = self._dates.columns(numbers)
            filled = np.where(np.isnan(columns), self._fill, columns)
        else:
            filled = np.where(missing, self._fill, numbers)
        if self._neighbours is not None and missing.any():
            count = len(self.number_names)
            self._neighbours.impute(filled[:, :count], missing[:, :count])
        clipped = np.minimum(np.maximum(filled, self._low), self._high)
        wide = np.empty((len(numbers), self._width), dtype=np.float64)
        at = clipped.shape[1]
        wide[:, :at] = clipped
        for table, column in zip(self._tables, codes, strict=True):
            wide[:, at : at + table.shape[1]] = table[column]
            at += table.shape[1]
        for made in self._texts.columns(texts) if texts else ():
            wide[:, at : at + made.shape[1]] = made
            at += made.shape[1]
        wide[:, at : self._base_width] = missing[:, self._flags]
        for column, (operation, places) in enumerate(self._derived, self._base_width):
            wide[:, column] = operation(*(wide[:, place] for place in places))
        if self._bins:
            binned = [
                table[np.searchsorted(edges, wide[:, place], side="right")]
                for place, (edges, table) in zip(self._binned, self._bins, strict=True)
            ]
            wide = np.concatenate([wide, *binned], axis=1)
        scaled = (wide[:, self._select] - self._shift) * self._factor
        return np.minimum(np.maximum(scaled, -_FLOAT32_MAX), _FLOAT32_MAX).astype(np.float32)

    def counted(self, numbers: Matrix, texts: Columns = ()) -> Matrix:
        """What `trimaran.served.distribution` counts by the bins of numbers, `[rows, columns]`.

        The number fields, of each date the part that is counted, and each text's words.
        """
        counted = self._dates.counted(numbers) if self.data.dates else numbers
        return np.column_stack([counted, *self._texts.counted(texts)]) if texts else counted

    def unknown(self, codes: npt.NDArray[np.int64]) -> dict[str, int]:
        """How many rows hold an unknown category, by field; fields with none are left out."""
        counts = {
            name: int(np.count_nonzero(column == len(vocabulary)))
            for name, vocabulary, column in zip(
                self.category_names, self._vocabularies, codes, strict=True
            )
        }
        return {name: count for name, count in counts.items() if count}

    def missing(self, numbers: Matrix, codes: npt.NDArray[np.int64]) -> dict[str, int]:
        """How many rows lack a value, by field; fields that lack none are left out."""
        read = [*self.number_names, *self.date_names]
        counts = dict(zip(read, np.isnan(numbers).sum(axis=0, dtype=int).tolist(), strict=True))
        for name, vocabulary, column in zip(
            self.category_names, self._vocabularies, codes, strict=True
        ):
            counts[name] = int(np.count_nonzero(column == len(vocabulary) - 1))
        return {name: count for name, count in counts.items() if count}


class _Imputer:
    """Missing numbers from the nearest stored rows."""

    def __init__(self, data: Neighbours, position: dict[str, int]) -> None:
        self.rows = np.array(data.rows, dtype=np.float64)
        self.spread = np.array(data.spread, dtype=np.float64)
        self.columns = np.array([position[name] for name in data.columns], dtype=np.int64)
        self.count = data.count

    def impute(self, filled: Matrix, missing: npt.NDArray[np.bool_]) -> None:
        """Overwrite the missing numbers of the columns imputed this way, row by row."""
        for row in np.flatnonzero(missing[:, self.columns].any(axis=1)):
            present = ~missing[row]
            if not present.any():
                continue
            apart = (self.rows[:, present] - filled[row, present]) / self.spread[present]
            nearest = np.argsort((apart * apart).sum(axis=1), kind="stable")[: self.count]
            columns = self.columns[missing[row, self.columns]]
            filled[row, columns] = self.rows[np.ix_(nearest, columns)].mean(axis=0)


def _ratio(top: Matrix, bottom: Matrix) -> Matrix:
    return np.divide(top, bottom, out=np.zeros_like(top), where=bottom != 0)


def _sum(first: Matrix, *others: Matrix) -> Matrix:
    total = first
    for other in others:
        total = total + other
    return total


_OPERATIONS: dict[str, Any] = {
    "sum": _sum,
    "difference": np.subtract,
    "product": np.multiply,
    "ratio": _ratio,
    "log": lambda column: np.log1p(np.abs(column)),
}


def _bounds(values: Sequence[float | None], otherwise: float) -> Matrix:
    return np.array([otherwise if value is None else value for value in values], dtype=np.float64)


class _Codes(dict[str | None, int]):
    """The code of each value as it is written; only others are looked up without their spaces."""

    def __init__(self, vocabulary: Sequence[str]) -> None:
        super().__init__((value, code) for code, value in enumerate([*vocabulary, None]))
        self._stripped: dict[str | None, int] = {}
        for value, code in self.items():
            self._stripped.setdefault((value and value.strip()) or None, code)
        self._stripped[None] = len(vocabulary)

    def __missing__(self, value: str | None) -> int:
        return self._stripped.get((value and value.strip()) or None, len(self))
