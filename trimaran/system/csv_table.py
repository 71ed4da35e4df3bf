"""A CSV file read as text, so that an error about a cell can name its line."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import pandas as pd

from trimaran.system.errors import TrimaranError

__all__ = ["read_csv"]

_OTHER_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}


def read_csv(path: Path) -> pd.DataFrame:
    """Every cell as text, in the columns that the header names; absent text is empty.

    The index, named `line`, holds the line of the file where a row begins. The file is UTF-8,
    with or without a byte order mark, separated by commas. Blank lines are skipped.
    Raises `TrimaranError` with the line for anything else.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(_numbered(file, path))
    except UnicodeDecodeError as error:
        raise TrimaranError(
            f"{path} is not UTF-8 text (byte {error.object[error.start]:#04x}); save it as UTF-8"
        ) from None
    except OSError as error:
        raise TrimaranError(f"{path} cannot be read: {error.strerror}") from None
    if not rows:
        raise TrimaranError(f"{path} is empty; it must begin with a line of column names")
    header = rows[0][1]
    _check_header(header, path)
    for line, row in rows[1:]:
        if len(row) != len(header):
            raise TrimaranError(
                f"{path}, line {line}, has {len(row)} cells, and the header has {len(header)}; "
                "put quotes around text that holds a comma, or complete the line"
            )
    if len(rows) == 1:
        raise TrimaranError(f"{path} has a header and no rows; add the records below it")
    return pd.DataFrame(
        [row for _, row in rows[1:]],
        columns=header,
        index=pd.Index([line for line, _ in rows[1:]], name="line"),
        dtype=object,
    )


def _numbered(file: Iterable[str], path: Path) -> Iterator[tuple[int, list[str]]]:
    """Rows with the line where each begins: quoted text may span several lines."""
    reader = csv.reader(file, strict=True)
    begin = 1
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise TrimaranError(
                f"{path}, the row from line {begin}: {error}; check its quotes"
            ) from None
        if row is None:
            return
        if row:
            yield begin, row
        begin = reader.line_num + 1


def _check_header(header: list[str], path: Path) -> None:
    if len(header) == 1:
        for separator, name in _OTHER_SEPARATORS.items():
            if separator in header[0]:
                raise TrimaranError(
                    f"{path} is separated by {name}, not by commas; save it as CSV with commas"
                )
    for place, name in enumerate(header, 1):
        if not name.strip():
            raise TrimaranError(
                f"{path}: column {place} has no name; name it in the first line, or remove it"
            )
    name, count = Counter(header).most_common(1)[0]
    if count > 1:
        raise TrimaranError(f"{path}: {count} columns are named {name!r}; rename all but one")
