from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import date
from pathlib import Path

import duckdb
import openpyxl
import pandas as pd
import pytest

from trimaran.system.errors import TrimaranError
from trimaran.system.postgresql import shown
from trimaran.training.tabular.data.reading import Source, read_table

NAMES = ["id", "age", "vip", "since", "note"]
ROWS = [
    ["c1", 41, True, date(2026, 1, 31), "x"],
    ["c2", None, False, None, None],
    ["c3", 2.5, None, date(2025, 12, 1), "y, z"],
]


def excel(path: Path) -> None:
    book = openpyxl.Workbook()
    page = book.active
    for row in (NAMES, *ROWS):
        page.append(row)
    book.create_sheet("empty")
    book.save(path)


def in_duckdb(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(
        "CREATE TABLE people (id VARCHAR, age DOUBLE, vip BOOLEAN, since DATE, note VARCHAR)"
    )
    connection.executemany("INSERT INTO people VALUES (?, ?, ?, ?, ?)", ROWS)


def as_duckdb(path: Path) -> None:
    with closing(duckdb.connect(str(path))) as connection:
        in_duckdb(connection)


def parquet(path: Path) -> None:
    with closing(duckdb.connect()) as connection:
        in_duckdb(connection)
        connection.execute(f"COPY people TO '{path}' (FORMAT parquet)")


def sqlite(path: Path) -> None:
    """Which has neither truth values nor dates."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE people (id, age, vip, since, note)")
        for row in ROWS:
            words = {True: "true", False: "false", None: None}
            since = row[3].isoformat() if isinstance(row[3], date) else None
            changed = [*row[:2], words[row[2]], since, row[4]]  # type: ignore[index]
            connection.execute("INSERT INTO people VALUES (?, ?, ?, ?, ?)", changed)
        connection.commit()


KINDS = {"xlsx": excel, "duckdb": as_duckdb, "parquet": parquet, "db": sqlite}


@pytest.mark.parametrize(("ending", "make"), KINDS.items(), ids=KINDS)
def test_every_kind_of_source_reads_alike(
    tmp_path: Path, ending: str, make: Callable[[Path], None]
) -> None:
    path = tmp_path / f"people.{ending}"
    make(path)
    frame = read_table(Source(str(path)))
    assert list(frame.columns) == NAMES
    assert frame.index.tolist() == [1, 2, 3]
    assert frame["age"].dtype == float
    assert frame["age"].fillna(-1).tolist() == [41.0, -1.0, 2.5]
    texts = frame.drop(columns="age").astype(object)
    since = [cell and cell[:10] for cell in texts["since"]]  # Excel keeps times, too
    assert since == ["2026-01-31", None, "2025-12-01"]
    assert texts["vip"].tolist() == ["true", "false", None]
    assert texts["note"].tolist() == ["x", None, "y, z"]


@pytest.mark.parametrize(
    ("name", "options", "problem"),
    [
        ("people.db", {"query": "SELECT"}, "cannot be read: incomplete input"),
        ("people.db", {"query": "DELETE FROM people"}, "cannot be read: attempt to write a read"),
        ("people.db", {"query": "SELECT age, age FROM people"}, "2 columns are named 'age'"),
        ("people.db", {"query": "SELECT x'00' AS b"}, "the column 'b' holds bytes; leave it out"),
        ("people.db", {"query": "SELECT * FROM people WHERE 0"}, "has no rows; add records"),
        ("people.db", {"sheet": "a"}, "--sheet is for an .xlsx file"),
        ("people.xlsx", {"sheet": "no"}, "has no sheet 'no'; it has Sheet, empty"),
        ("people.xlsx", {"sheet": "empty"}, "has no rows; add records"),
        ("people.xlsx", {"query": "SELECT 1"}, "--query is for a database"),
        ("two.duckdb", {}, "has 2 tables (a, b); write what to read as --query SQL"),
        ("torn.xlsx", {}, "cannot be read: File is not a zip file"),
        ("torn.parquet", {}, "cannot be read: "),
        ("torn.duckdb", {}, "cannot be read: "),
        ("torn.db", {}, "cannot be read: file is not a database"),
        ("gone.parquet", {}, "there is no file"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(
    tmp_path: Path, name: str, options: dict[str, str], problem: str
) -> None:
    path = tmp_path / name
    if name.startswith("torn"):
        path.write_bytes(b"torn, and long enough to be taken for something" * 9)
    elif name.startswith("two"):
        with closing(duckdb.connect(str(path))) as connection:
            connection.execute("CREATE TABLE a (x INT)")
            connection.execute("CREATE TABLE b (x INT)")
    elif name.startswith("people"):
        KINDS[path.suffix[1:]](path)
    with pytest.raises(TrimaranError) as refused:
        read_table(Source(str(path), **options))
    assert problem in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_password_is_never_shown() -> None:
    address = "postgresql://me:s3cret@127.0.0.1:1/shop?password=s3cret"
    assert shown(address) == "postgresql://me@127.0.0.1:1/shop"
    with pytest.raises(TrimaranError) as refused:
        read_table(Source(address))
    assert "s3cret" not in str(refused.value)
    assert "postgresql://me@127.0.0.1:1/shop cannot be read: " in str(refused.value)


def test_a_long_number_stays_what_it_is(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection:
        connection.execute("CREATE TABLE a (key)")
        connection.execute("INSERT INTO a VALUES (9007199254740993)")
        connection.commit()
    frame: pd.DataFrame = read_table(Source(str(tmp_path / "a.db")))
    assert frame["key"].tolist() == ["9007199254740993"]
