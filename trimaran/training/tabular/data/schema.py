"""The schema of a table of records: a small TOML file, checked when it is read.

target = "churn"            # the column to predict
task = "binary"             # optional: binary (the default), multiclass or regression
positive = "yes"            # binary: the value of it that is predicted
cost_missed = 100           # binary, optional: what a positive row costs that is missed, and
cost_alarm = 5              #   what a false alarm costs; the threshold makes both cost least
classes = ["a", "b", "c"]   # multiclass, optional: its values, in the order of the answers
identifier = "customer_id"  # optional: names a record; never a feature
leaks = ["churn_date"]      # optional: columns known only after the outcome; dropped with a note
ignored = ["comment"]       # optional: columns of no interest; dropped without a note
time = "called_on"          # optional: a column of dates by which the rows are split
gap_days = 7                # optional, with time: after so many days an outcome is known

[fields.total_day_minutes]
type = "number"
least = 0                   # optional, inclusive
most = 1440                 # optional, inclusive
whole = false               # optional

[fields.state]
type = "category"
values = ["KS", "OH"]       # optional: any other value is an error

[fields.signed_up]
type = "date"
least = 2015-01-01          # optional, inclusive, as is most
as_of = "called_on"         # optional: the date to which days are counted (the default: time)

[fields.comment]
type = "text"               # of several words, each of which may count

[[windows]]                 # optional: number fields counted from another table; see `windows.py`

As in a table, spaces around a text are not part of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from trimaran.served.records import Field
from trimaran.system.errors import TrimaranError
from trimaran.system.toml_text import parse_toml, read_utf8, refuse_unknown, texts_of, value_of
from trimaran.training.tabular.data.fields import (
    FLOAT32_MAX,
    KINDS,
    FieldSchema,
    first_repeated,
    read_field,
)
from trimaran.training.tabular.data.windows import Window, parse_windows
from trimaran.training.tabular.evaluation.costs import KEYS as COSTS
from trimaran.training.tabular.tasks.named import DEFAULT, TASKS, task_of
from trimaran.training.tabular.tasks.task import Contrast, Target, Task
from trimaran.training.tabular.wording import nearest

__all__ = [
    "FLOAT32_MAX",
    "KINDS",
    "MOST_FIELDS",
    "FieldSchema",
    "Schema",
    "parse_schema",
    "read_schema",
]

MOST_FIELDS = 1000
"""The most fields of a record."""

_KEYS = (
    *("target", "task", "positive", *COSTS, "classes", "identifier", "leaks", "ignored", "time"),
    *("gap_days", "fields", "windows"),
)


@dataclass(frozen=True)
class Schema:
    """The columns of a table, and which of them is predicted. Raises `TrimaranError`."""

    name: str
    target: str
    """The column to predict."""
    task: Task
    """How it is predicted."""
    fields: tuple[FieldSchema, ...]
    """What a model may learn from, in the order of its input."""
    identifier: str | None = None
    """The column that names a record."""
    leaks: tuple[str, ...] = ()
    """Columns known only after the outcome: they are dropped with a note, and never fields."""
    ignored: tuple[str, ...] = ()
    """Columns that are none of the above: they are dropped without a note, and decide nothing."""
    time: str | None = None
    """The column of dates by which the rows are split: a date field, or no field at all."""
    gap_days: float = 0.0
    """After how long an outcome is known: the parts of a split by time lie further apart."""
    windows: tuple[Window, ...] = ()
    """Number fields that are counted from the history before `time`."""

    def __post_init__(self) -> None:
        names = [field.name for field in self.fields]
        twice = first_repeated(names)
        problem = None
        if not self.target:
            problem = "target must not be empty; name the column to predict"
        elif not names:
            problem = "there are no fields; describe each column in a [fields.NAME] table"
        elif len(names) > MOST_FIELDS:
            problem = (
                f"there are {len(names)} fields, and a record may have {MOST_FIELDS}; move those "
                "that a model does not need to ignored"
            )
        elif twice is not None:
            problem = f"the field {twice!r} appears twice; remove one"
        elif self.target in names:
            problem = f"the target {self.target!r} is among the fields; remove it from them"
        elif self.identifier is not None and self.identifier in (*names, self.target, ""):
            problem = (
                f"the identifier {self.identifier!r} is also a field, the target or empty; a model "
                "cannot learn from names, so keep it apart"
            )
        elif self.target in self.leaks or self.identifier in self.leaks:
            problem = "the target or the identifier is among the leaks; remove it from them"
        elif self.target in self.ignored or self.identifier in self.ignored:
            problem = "the target or the identifier is among the ignored; remove it from them"
        if problem:
            raise TrimaranError(problem)
        for leak in self.leaks:
            if leak in names:
                raise TrimaranError(
                    f"the field {leak!r} is among the leaks, which are known only after the "
                    "outcome; remove it from the fields, or from the leaks if it is known before"
                )
        for name in self.ignored:
            if name in names:
                raise TrimaranError(
                    f"the field {name!r} is among the ignored; remove it from the fields, or from "
                    "the ignored if a model may learn from it"
                )
            if name in self.leaks:
                raise TrimaranError(
                    f"the column {name!r} is among the leaks and among the ignored; remove it from "
                    "one of them"
                )
        self._check_dates()
        numbers = [field.name for field in self.numbers]
        for window in self.windows:
            if window.name not in numbers:
                raise TrimaranError(
                    f"the window {window.name!r} is described as something else than a number"
                )
            if self.time is None:
                raise TrimaranError(
                    f"the window {window.name!r} ends at the date of its row; name the column of "
                    "that date as time"
                )

    def _check_dates(self) -> None:
        kinds = {field.name: field.kind for field in self.fields}
        if self.time is not None:
            others = (self.target, self.identifier, *self.leaks, *self.ignored, "")
            if self.time in others or kinds.get(self.time, "date") != "date":
                raise TrimaranError(
                    f"time is {self.time!r}, which is described as something else than a date; "
                    "name a date field, or a column of dates that is nothing else"
                )
        if not 0 <= self.gap_days <= FLOAT32_MAX:
            raise TrimaranError(
                f"gap_days is {str(self.gap_days)[:20]}; expected a number of days of 0 or more"
            )
        if self.gap_days and self.time is None:
            raise TrimaranError(
                f"gap_days is {self.gap_days:g}, and there is no time to which it applies; name a "
                "column of dates as time, or leave gap_days out"
            )
        for field in self.fields:
            dates = [each.name for each in self.dates if each.name != field.name]
            if field.as_of is not None and field.as_of not in dates:
                raise TrimaranError(
                    f"the field {field.name!r} has as_of = {field.as_of!r}, which is no other date "
                    f"field; {nearest(field.as_of, dates) if dates else 'leave it out'}"
                )

    @property
    def numbers(self) -> list[FieldSchema]:
        """The number fields, in order."""
        return [field for field in self.fields if field.kind == "number"]

    @property
    def categories(self) -> list[FieldSchema]:
        """The category fields, in order."""
        return [field for field in self.fields if field.kind == "category"]

    @property
    def texts(self) -> list[FieldSchema]:
        """The text fields, in order."""
        return [field for field in self.fields if field.kind == "text"]

    @property
    def dates(self) -> list[FieldSchema]:
        """The date fields, in order."""
        return [field for field in self.fields if field.kind == "date"]

    @property
    def date_columns(self) -> list[str]:
        """The columns that hold dates: the date fields, and the time if it is none of them."""
        names = [field.name for field in self.dates]
        return names if self.time in (None, *names) else [*names, str(self.time)]

    def as_of(self, field: FieldSchema) -> str | None:
        """The date field to which the days of a date field are counted; None for a fixed day."""
        if field.as_of is not None:
            return field.as_of
        others = [each.name for each in self.dates if each.name != field.name]
        return self.time if self.time in others else None

    @property
    def number_columns(self) -> list[str]:
        """The columns that hold numbers: the number fields, and the target if it is one."""
        target = [self.target] if self.task.numeric else []
        return [*(field.name for field in self.numbers), *target]

    @property
    def columns(self) -> list[str]:
        """Every column of a conforming table: the identifier if any, the fields, the target.

        A time that is no field is next to the target.
        """
        identifier = [] if self.identifier is None else [self.identifier]
        fields = [field.name for field in self.fields]
        time = [] if self.time in (None, *fields) else [str(self.time)]
        return [*identifier, *fields, *time, self.target]

    def outcomes(self, frame: pd.DataFrame) -> Target:
        """The encoded target of a table, `[rows]`."""
        return self.task.encode(frame[self.target])

    def contrast(self, frame: pd.DataFrame) -> Contrast:
        """The question by which a table with known targets is explored."""
        return self.task.contrast(frame[self.target])

    def records_fields(self) -> list[Field]:
        """The fields of a served record, in order.

        Serving rounds a number to float32 before it compares it. The bounds are rounded here too,
        so a value within the schema's bounds is also accepted when served.
        """
        return [
            Field(field.name, field.kind, field.least, field.most)
            if field.kind == "date"
            else Field(field.name, field.kind, _float32(field.least), _float32(field.most))
            for field in self.fields
        ]


def read_schema(path: Path) -> Schema:
    """The schema in a TOML file, named like the file. Raises `TrimaranError`."""
    try:
        text = read_utf8(path)
    except TrimaranError as error:
        raise TrimaranError(f"the schema {path} {error}; check --schema") from None
    try:
        return parse_schema(text, path.stem)
    except TrimaranError as error:
        raise TrimaranError(f"the schema {path}: {error}") from None


def parse_schema(text: str, name: str) -> Schema:
    """The schema in a TOML text. Raises `TrimaranError` for the first thing that is wrong."""
    document = parse_toml(text)
    refuse_unknown(document, _KEYS)
    tables = value_of(document, "fields", dict, "a table of fields", required=True)
    fields = [read_field(name.strip(), table) for name, table in tables.items()]
    windows = parse_windows(document)
    described = {field.name for field in fields}
    counted = [FieldSchema(each.name, "number") for each in windows if each.name not in described]
    return Schema(
        name=name,
        target=value_of(document, "target", str, "a column's name", required=True),
        task=_task(document),
        identifier=value_of(document, "identifier", str, "a column's name"),
        leaks=texts_of(document, "leaks") or (),
        ignored=texts_of(document, "ignored") or (),
        time=value_of(document, "time", str, "a column's name"),
        gap_days=value_of(document, "gap_days", (int, float), "a number of days") or 0.0,
        fields=(*fields, *counted),
        windows=windows,
    )


def _task(document: Mapping[str, Any]) -> Task:
    name = value_of(document, "task", str, "a task's name")
    name = DEFAULT if name is None else name
    if name not in TASKS:
        raise TrimaranError(f"there is no task {name!r}; {nearest(name, TASKS)}")
    keys = TASKS[name].keys
    for key in _OF_TASKS:
        if key in document and key not in keys:
            raise TrimaranError(f"for the task {name}, there is no key {key!r}; leave it out")
    options = {key: _OF_TASKS[key](document, required) for key, required in keys.items()}
    given = {key: value for key, value in options.items() if value is not None}
    return task_of({"task": name, **given})


_OF_TASKS: Mapping[str, Callable[[Mapping[str, Any], bool], Any]] = {
    "positive": lambda document, required: value_of(
        document, "positive", str, "a value of the target", required=required
    ),
    "classes": lambda document, _: texts_of(document, "classes"),
    "cost_missed": lambda document, _: _cost(document, "cost_missed"),
    "cost_alarm": lambda document, _: _cost(document, "cost_alarm"),
}
"""The keys of tasks, and how each is read: see `Task.keys`."""


def _cost(document: Mapping[str, Any], key: str) -> float | None:
    found: float | None = value_of(document, key, (int, float), "a number above 0")
    return found


def _float32(bound: float | None) -> float | None:
    return None if bound is None else float(np.float32(bound))
