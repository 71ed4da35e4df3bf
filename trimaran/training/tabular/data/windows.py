"""Windows over a history: number fields that are counted from another table, as of each row's date.

[[windows]]
name = "minutes_90d"        # the field
history = "calls.csv"       # a file, from the folder of the schema
key = "customer_id"         # the column that both tables have
date = "began_at"           # the history's column of dates
function = "sum"            # count, sum or mean
value = "minutes"           # of sum and mean: the history's column of numbers
days = 90

A row sees the entries of its key from `days` days before its own date, inclusive, up to that date,
exclusive: an entry of the very same date may have come after it. A row without entries has the
count and the sum 0, and no mean. A row without a key has no value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from trimaran.system.errors import TrimaranError
from trimaran.system.extras import imported
from trimaran.system.toml_text import refuse_unknown, value_of
from trimaran.training.tabular.data.cells import days_in, numbers_in
from trimaran.training.tabular.data.fields import first_repeated
from trimaran.training.tabular.data.reading import Source, read_table, text_of
from trimaran.training.tabular.wording import nearest, some

__all__ = ["Window", "parse_windows", "with_windows"]

_FUNCTIONS = {
    "count": "count(entries.key)",
    "sum": "coalesce(sum(entries.value), 0)",
    "mean": "avg(entries.value)",
}
_KEYS = ("name", "history", "key", "date", "function", "value", "days")
_ALL = "SELECT rows.place, {function} FROM rows LEFT JOIN entries ON entries.key = rows.key AND "
_WITHIN = "entries.days >= rows.days - ? AND entries.days < rows.days "
_GROUPED = "GROUP BY rows.place ORDER BY rows.place"


@dataclass(frozen=True)
class Window:
    """One number field of a history. Raises `TrimaranError` for a contradiction."""

    name: str
    history: str
    key: str
    date: str
    function: str
    """`count`, `sum` or `mean`."""
    days: float
    value: str | None = None

    def __post_init__(self) -> None:
        where = f"the window {self.name!r}"
        if self.function not in _FUNCTIONS:
            raise TrimaranError(
                f"{where} has the function {self.function!r}; {nearest(self.function, _FUNCTIONS)}"
            )
        if not self.days > 0:
            raise TrimaranError(f"{where} has {self.days:g} days; give more than 0")
        if (self.value is None) != (self.function == "count"):
            raise TrimaranError(
                f"{where} is a count, which has no value; leave it out"
                if self.function == "count"
                else f"{where} is a {self.function}, and has no value; name the column of numbers"
            )


def parse_windows(document: Mapping[str, Any]) -> tuple[Window, ...]:
    """The windows of a schema's document. Raises `TrimaranError`."""
    entries = value_of(document, "windows", list, "tables [[windows]]") or []
    windows = tuple(_window(entry) for entry in entries)
    twice = first_repeated(window.name for window in windows)
    if twice is not None:
        raise TrimaranError(f"the window {twice!r} appears twice; remove one")
    return windows


def with_windows(
    raw: pd.DataFrame, windows: Sequence[Window], time: str | None, folder: Path, source: str
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The table with a column of numbers for each window, and notes.

    `raw` holds texts or numbers, `time` is its column of dates, and the histories are read from
    `folder`. Raises `TrimaranError` for a history that cannot be read or a column that is missing.
    """
    if not windows:
        return raw, ()
    where = f"{source}, {raw.index.name or 'row'}"
    days = days_in(_column(raw, str(time), source), where)
    columns, notes = {}, []
    histories: dict[str, pd.DataFrame] = {}
    for window in windows:
        if window.name in raw.columns:
            raise TrimaranError(
                f"{source} has the column {window.name!r}, which a window makes; rename one"
            )
        place = str(folder / window.history)
        if window.history not in histories:
            histories[window.history] = read_table(Source(place))
        rows = _keyed(_column(raw, window.key, source), days)
        entries, undated = _entries(window, histories[window.history], place)
        if undated:
            notes.append(
                f"{some(undated, 'row')} without a date in {window.date!r} of {place}, and in no "
                "window"
            )
        begins = float(entries["days"].min()) if len(entries) else np.inf
        early = int(np.count_nonzero(days - window.days < begins))
        if early:
            notes.append(
                f"{place} does not reach {window.days:g} days back for {early} of {len(raw)} rows, "
                f"whose {window.name!r} may be too small"
            )
        columns[window.name] = _counted(window, rows, entries)
    return raw.assign(**columns), tuple(dict.fromkeys(notes))


def _window(entry: Any) -> Window:
    if not isinstance(entry, dict):
        raise TrimaranError(f"windows holds {entry!r}; write each as a table [[windows]]")
    name = value_of(entry, "name", str, "the name of a field", "a window: ", required=True)
    where = f"the window {name!r}: "
    refuse_unknown(entry, _KEYS, where)
    columns = {
        key: value_of(entry, key, str, "text", where, required=True)
        for key in ("history", "key", "date", "function")
    }
    return Window(
        name,
        **columns,
        days=value_of(entry, "days", (int, float), "a number", where, required=True),
        value=value_of(entry, "value", str, "a column's name", where),
    )


def _column(frame: pd.DataFrame, name: str, source: str) -> pd.Series:
    if name not in frame.columns:
        raise TrimaranError(
            f"{source} has no column {name!r}, which a window needs; "
            f"{nearest(name, map(str, frame.columns))}"
        )
    return frame[name]


def _keyed(keys: pd.Series, days: npt.NDArray[np.float64]) -> pd.DataFrame:
    texts = pd.Series([text_of(key) or None for key in keys], dtype=object)
    return pd.DataFrame({"place": np.arange(len(texts)), "key": texts, "days": days})


def _entries(window: Window, history: pd.DataFrame, place: str) -> tuple[pd.DataFrame, int]:
    """The dated entries of a history, and how many others there are."""
    where = f"{place}, {history.index.name or 'row'}"
    days = days_in(_column(history, window.date, place), where)
    entries = _keyed(_column(history, window.key, place), days)
    if window.value is not None:
        entries["value"] = numbers_in(_column(history, window.value, place), where)
    dated = entries[entries["days"].notna()]
    return dated, len(entries) - len(dated)


def _counted(window: Window, rows: pd.DataFrame, entries: pd.DataFrame) -> npt.NDArray[np.float64]:
    """The window's value of each row, `[rows]`; NaN where it has none."""
    duckdb = imported("duckdb", window.history)
    with closing(duckdb.connect()) as connection:
        connection.execute("SET threads = 1")  # a sum is added up in the same order each time
        connection.register("rows", rows)
        connection.register("entries", entries)
        query = _ALL.format(function=_FUNCTIONS[window.function]) + _WITHIN + _GROUPED
        found = connection.execute(query, [window.days]).fetchnumpy()
    values = np.ma.filled(next(column for name, column in found.items() if name != "place"), np.nan)
    return np.where(rows["key"].isna(), np.nan, values.astype(np.float64))
