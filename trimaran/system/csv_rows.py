"""The one reading of a CSV file, for training and for scoring: its rows, header and cells.

| found | read as |
|---|---|
| a byte order mark, blank lines | nothing |
| spaces of any kind around a name or a cell | not part of it |
| a number's cell: empty, `NA`, `N/A`, `NaN`, `null` or `none`, in any case | missing |
| a text's cell: empty | missing; `NA` and `none` are texts there |
| an infinite number, or one beyond the type's range | refused |
| another separator than the comma, text that is not UTF-8, a bad quote | refused, with the line |
"""

from __future__ import annotations

import csv
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from trimaran.system.errors import TrimaranError

__all__ = ["CsvError", "check_header", "named", "number_in", "numbered_rows", "opened_csv"]

_OTHER_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_NO_NUMBER = frozenset({"", "na", "n/a", "nan", "null", "none"})


class CsvError(TrimaranError):
    """A file that cannot be read as CSV: where, and what to do."""


@contextmanager
def opened_csv(path: Path) -> Iterator[TextIO]:
    """The file's text, to be read within the block. Raises `CsvError`."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield file
    except UnicodeDecodeError as error:
        raise CsvError(
            f"{path} is not UTF-8 text (byte {error.object[error.start]:#04x}); save it as UTF-8"
        ) from None
    except OSError as error:
        raise CsvError(f"{path} cannot be read: {error.strerror}") from None


def numbered_rows(text: Iterable[str], path: Path) -> Iterator[tuple[int, list[str]]]:
    """The rows of cells, the header first, each with the line where it begins.

    Quoted text may span several lines. Raises `CsvError` with the line of a bad quote.
    """
    reader = csv.reader(text, strict=True)
    begin, width = 1, 1
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise CsvError(
                f"{path}, the row from line {begin}: {error}; check its quotes"
            ) from None
        if row is None:
            return
        blank = not row or (len(row) == 1 and width > 1 and not row[0].strip())
        if not blank:
            width = max(width, len(row))
            yield begin, row
        begin = reader.line_num + 1


def named(header: Sequence[str], path: Path) -> list[str]:
    """The names in a header. Raises `CsvError` where commas do not separate them."""
    if len(header) == 1:
        for separator, name in _OTHER_SEPARATORS.items():
            if separator in header[0]:
                raise CsvError(
                    f"{path} is separated by {name}, not by commas; save it as CSV with commas"
                )
    return [name.strip() for name in header]


def check_header(names: Sequence[str], path: Path, nameless: str = "remove it") -> None:
    """Refuse a column without a name, with `nameless` as a remedy, and two of the same name.

    Raises `CsvError`.
    """
    for place, name in enumerate(names, 1):
        if not name:
            raise CsvError(
                f"{path}: column {place} has no name; name it in the first line, or {nameless}"
            )
    for name, count in Counter(names).items():
        if count > 1:
            raise CsvError(f"{path}: {count} columns are named {name!r}; rename all but one")


def number_in(cell: str, largest: float) -> float | None:
    """The number in a cell, NaN for a missing one, None for anything else.

    A number further from zero than `largest` is none.
    """
    text = cell.strip()
    if text.lower() in _NO_NUMBER:
        return math.nan
    number = float(text) if _NUMBER.fullmatch(text) else math.inf
    return number if abs(number) <= largest and math.isfinite(number) else None
