"""A CSV file read as text, so that an error about a cell can name its line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from trimaran.system.csv_rows import CsvRow, check_header, named, numbered_rows, opened_csv
from trimaran.system.errors import TrimaranError

__all__ = ["read_csv"]


def read_csv(path: Path) -> pd.DataFrame:
    """Every cell as text, in the columns that the header names; absent text is empty.

    The index, named `line`, holds the line of the file where a row begins. The file is UTF-8,
    with or without a byte order mark, separated by commas. Blank lines are skipped, and so is a
    first column without a name that counts the rows, as pandas writes its index.
    Raises `TrimaranError` with the line for anything else.
    """
    with opened_csv(path) as file:
        rows = list(numbered_rows(file, path))
    if not rows:
        raise TrimaranError(f"{path} is empty; it must begin with a line of column names")
    header = named(rows[0].cells, path)
    if header[0] == "" and _counts_rows(rows[1:]):
        header = header[1:]
        rows = [row._replace(cells=row.cells[1:]) for row in rows]
    check_header(header, path)
    for line, row, fault in rows[1:]:
        if fault:
            raise TrimaranError(f"{path}, the row from line {line}: {fault}")
        if len(row) != len(header):
            raise TrimaranError(
                f"{path}, line {line}, has {len(row)} cells, and the header has {len(header)}; "
                "put quotes around text that holds a comma, or complete the line"
            )
    if len(rows) == 1:
        raise TrimaranError(f"{path} has a header and no rows; add the records below it")
    return pd.DataFrame(
        [row.cells for row in rows[1:]],
        columns=header,
        index=pd.Index([row.line for row in rows[1:]], name="line"),
        dtype=object,
    )


def _counts_rows(rows: Sequence[CsvRow]) -> bool:
    """Whether the first cells are 0, 1, 2, … or 1, 2, 3, …."""
    cells = [row.cells[0].strip() if row.cells else "" for row in rows]
    return any(cells == [str(first + at) for at in range(len(cells))] for first in (0, 1))
