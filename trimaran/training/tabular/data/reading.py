"""A table as it lies in a file or a database, before its schema is applied.

| a source | read with |
|---|---|
| `customers.csv`, and any other ending | `trimaran.system.csv_table` |
| `customers.parquet` | DuckDB |
| `customers.xlsx`, a sheet of it | openpyxl |
| `shop.sqlite`, `shop.sqlite3`, `shop.db`, with a query | sqlite3, opened to read only |
| `shop.duckdb`, with a query | DuckDB, opened to read only |
| `postgresql://host/shop`, with a query | psycopg, in a transaction that reads only |

A database with one table needs no query. A password in an address is never shown.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd

from trimaran.system.csv_table import read_csv
from trimaran.system.errors import TrimaranError, UsageError
from trimaran.system.extras import imported
from trimaran.system.postgresql import (
    connect_postgresql,
    is_address,
    said_without_password,
    shown,
)

__all__ = [
    "Source",
    "read_table",
    "text_of",
]

_SQLITE = (".sqlite", ".sqlite3", ".db")
_DUCKDB = ".duckdb"
_OF_DUCKDB = "SELECT table_name FROM duckdb_tables() UNION SELECT view_name FROM duckdb_views() "
_TABLES = {
    "SQLite": "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') "
    "AND name NOT LIKE 'sqlite_%' ORDER BY name",
    "DuckDB": _OF_DUCKDB + "WHERE NOT internal ORDER BY 1",
    "PostgreSQL": "SELECT table_name FROM information_schema.tables WHERE table_schema NOT IN "
    "('pg_catalog', 'information_schema') ORDER BY table_name",
}
_Rows = tuple[list[str], list[Sequence[Any]]]
_Execute = Callable[[str], _Rows]


@dataclass(frozen=True)
class Source:
    """Where a table lies: a file or an address, and which part of it."""

    place: str
    query: str | None = None
    """SQL for a database."""
    sheet: str | None = None
    """The name of a spreadsheet's sheet; the first by default."""


def text_of(cell: object) -> str:
    """A cell as a text without spaces around it, a whole number without `.0`; empty if missing."""
    if cell is None or cell is pd.NA or cell != cell:
        return ""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell).strip()


def read_table(source: Source) -> pd.DataFrame:
    """Texts and numbers by column; a missing cell is None, NaN or empty text.

    The index says where a row lies: a line, or a row from 1. Truth values become `true` and
    `false`, dates ISO 8601. Raises `UsageError` for a query or a sheet that does not fit, and
    `TrimaranError` for a source that cannot be read.
    """
    place = source.place
    ending = Path(place).suffix.lower()
    is_database = is_address(place) or ending in (*_SQLITE, _DUCKDB)
    if source.query and not is_database:
        raise UsageError(f"--query is for a database, and {place} is none")
    if source.sheet and ending != ".xlsx":
        raise UsageError(f"--sheet is for an .xlsx file, and {shown(place)} is none")
    if is_address(place):
        return _frame(_from_postgresql(place, source.query), shown(place))
    if not Path(place).is_file():
        raise UsageError(f"there is no file {place}")
    readers: Mapping[str, Callable[[], _Rows]] = {
        ".parquet": lambda: _from_parquet(place),
        ".xlsx": lambda: _from_excel(place, source.sheet),
        _DUCKDB: lambda: _from_duckdb(place, source.query),
        **dict.fromkeys(_SQLITE, lambda: _from_sqlite(place, source.query)),
    }
    if ending in readers:
        return _frame(readers[ending](), place)
    return read_csv(Path(place))


def _from_parquet(place: str) -> _Rows:
    duckdb = imported("duckdb", place)
    try:
        with closing(duckdb.connect()) as connection:
            return _fetched(connection.execute("SELECT * FROM read_parquet(?)", [place]))
    except duckdb.Error as error:
        raise _unreadable(place, error) from None


def _from_duckdb(place: str, query: str | None) -> _Rows:
    duckdb = imported("duckdb", place)
    try:
        with closing(duckdb.connect(place, read_only=True)) as connection:
            return _queried(lambda sql: _fetched(connection.execute(sql)), "DuckDB", place, query)
    except duckdb.Error as error:
        raise _unreadable(place, error) from None


def _from_sqlite(place: str, query: str | None) -> _Rows:
    try:
        address = f"{Path(place).resolve().as_uri()}?mode=ro"
        with closing(sqlite3.connect(address, uri=True)) as connection:
            return _queried(lambda sql: _fetched(connection.execute(sql)), "SQLite", place, query)
    except sqlite3.Error as error:
        raise _unreadable(place, error) from None


def _from_postgresql(place: str, query: str | None) -> _Rows:
    psycopg = imported("psycopg", shown(place))
    try:
        with closing(connect_postgresql(place)) as connection:
            connection.read_only = True
            return _queried(
                lambda sql: _fetched(connection.execute(sql)), "PostgreSQL", shown(place), query
            )
    except psycopg.Error as error:
        raise _unreadable(shown(place), said_without_password(place, error)) from None


def _from_excel(place: str, sheet: str | None) -> _Rows:
    openpyxl = imported("openpyxl", place)
    try:
        with closing(openpyxl.load_workbook(place, read_only=True, data_only=True)) as book:
            pages = {
                page.title: [row for row in page.iter_rows(values_only=True) if any(map(_has, row))]
                for page in book.worksheets
                if sheet in (None, page.title)
            }
            names = book.sheetnames
    except Exception as error:  # a file that is no zip archive, or damaged XML in it
        raise _unreadable(place, error) from None
    if not pages:
        raise UsageError(f"{place} has no sheet {sheet!r}; it has {', '.join(names)}")
    rows = next(iter(pages.values()))
    if not rows:
        return [], []
    width = max(place for row in rows for place, cell in enumerate(row, 1) if _has(cell))
    names = [text_of(cell) for cell in rows[0][:width]]
    return names, [tuple(row[:width]) for row in rows[1:]]


def _queried(execute: _Execute, kind: str, place: str, query: str | None) -> _Rows:
    if query is not None:
        return execute(query)
    tables = [str(row[0]) for row in execute(_TABLES[kind])[1]]
    if len(tables) != 1:
        found = f"has {len(tables)} tables ({', '.join(tables[:8])})" if tables else "has no table"
        raise UsageError(f"{place} {found}; write what to read as --query SQL")
    escaped = tables[0].replace('"', '""')
    return execute(f'SELECT * FROM "{escaped}"')  # noqa: S608 - a name that the database gave


def _fetched(cursor: Any) -> _Rows:
    if cursor.description is None:
        raise UsageError("--query gives no rows; write a SELECT")
    return [str(column[0]) for column in cursor.description], cursor.fetchall()


def _frame(found: _Rows, place: str) -> pd.DataFrame:
    names, rows = found
    for name, count in Counter(names).items():
        if not name:
            raise TrimaranError(f"{place}: a column has no name; name it, or select the others")
        if count > 1:
            raise TrimaranError(f"{place}: {count} columns are named {name!r}; rename all but one")
    if not rows:
        raise TrimaranError(f"{place} has no rows; add records")
    columns = zip(names, zip(*rows, strict=True), strict=True)
    index = pd.RangeIndex(1, len(rows) + 1, name="row")
    typed = {name: _column(cells, name, place) for name, cells in columns}
    return pd.DataFrame(typed).set_index(index)


def _column(cells: Iterable[Any], name: str, place: str) -> pd.Series:
    values = [_plain(cell, name, place) for cell in cells]
    if all(value is None or isinstance(value, float) for value in values):
        return pd.Series(values, dtype="float64")
    return pd.Series([None if v is None else text_of(v) for v in values], dtype=object)


def _plain(cell: Any, name: str, place: str) -> float | str | None:
    """A cell as a number or a text; a whole number of more digits than a float has stays a text."""
    if cell is None or isinstance(cell, str):
        return cell
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, int | float | Decimal):
        return float(cell) if float(cell) == cell or cell != cell else str(cell)
    if isinstance(cell, datetime | date | time):
        return cell.isoformat()
    if isinstance(cell, bytes | bytearray | list | tuple | dict):
        raise TrimaranError(
            f"{place}: the column {name!r} holds {type(cell).__name__}; leave it out, or select "
            "numbers and texts"
        )
    return str(cell)


def _has(cell: object) -> bool:
    return cell is not None and cell != ""


def _unreadable(place: str, error: Exception | str) -> TrimaranError:
    said = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return TrimaranError(f"{place} cannot be read: {said or type(error).__name__}")
