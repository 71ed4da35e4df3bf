"""The one reading of a CSV file, for training and for scoring: its rows, header and cells.

| found | read as |
|---|---|
| a byte order mark, blank lines | nothing |
| spaces of any kind around a name or a cell | not part of it |
| a number's cell: empty, `NA`, `N/A`, `NaN`, `null` or `none`, in any case | missing |
| a text's cell: empty | missing; `NA` and `none` are texts there |
| an infinite number, or one beyond the type's range | refused |
| a bad quote | a row that is refused, with its line: see `numbered_rows` |
| another separator than the comma, text that is not UTF-8 | a file that is refused |
"""

from __future__ import annotations

import codecs
import csv
import math
import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TextIO

from trimaran.system.errors import TrimaranError

__all__ = [
    "CsvError",
    "CsvRow",
    "check_header",
    "named",
    "number_in",
    "numbered_rows",
    "opened_csv",
]

_OTHER_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_DOUBT = "may belong to the text that begins in line {}, whose quotes are wrong"
_NO_NUMBER = frozenset({"", "na", "n/a", "nan", "null", "none"})


class CsvRow(NamedTuple):
    """A row of cells, and the line where it begins. One with a `fault` cannot be used."""

    line: int
    cells: list[str]
    fault: str = ""


class CsvError(TrimaranError):
    """A file that cannot be read as CSV: where, and what to do."""


@contextmanager
def opened_csv(path: Path) -> Iterator[TextIO]:
    """The file's text, to be read within the block. Raises `CsvError`."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield file
    except UnicodeDecodeError:
        raise CsvError(f"{path}{_not_utf8(path)}; save it as UTF-8") from None
    except OSError as error:
        raise CsvError(f"{path} cannot be read: {error.strerror}") from None


def _not_utf8(path: Path) -> str:
    """Where a file is not UTF-8 text, to be put after its name."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if number == 1 and line.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                return " is UTF-16 text"
            try:
                line.decode()
            except UnicodeDecodeError as error:
                byte = f"{line[error.start]:#04x}"
                return f", line {number}, is not UTF-8 text (byte {byte})"
    return " is not UTF-8 text"


def numbered_rows(text: Iterable[str], path: Path) -> Iterator[CsvRow]:
    """The rows, the header first. Quoted text may span several lines.

    A row with a bad quote has the `fault`, and its first line as its one cell. Reading goes on with
    the next line, unless that may be inside of the badly quoted text: where the next quote does not
    open a cell, the lines up to there are faults too. Raises `CsvError` for a bad header.
    """
    lines = _Lines(text)
    reader = csv.reader(lines, strict=True)
    width = 0
    while True:
        begin = lines.begin_row()
        try:
            row = next(reader, None)
        except csv.Error as error:
            fault = f"{error}; check its quotes"
            if not width:
                raise CsvError(f"{path}, the row from line {begin}: {fault}") from None
            yield CsvRow(begin, [lines.back_to_second()], fault)
            while doubtful := lines.doubtful():
                for line, words in doubtful:
                    yield CsvRow(line, [words], _DOUBT.format(begin))
            reader = csv.reader(lines, strict=True)
            continue
        if row is None:
            return
        blank = not row or (len(row) == 1 and width > 1 and not row[0].strip())
        if not blank:
            width = max(width, len(row))
            yield CsvRow(begin, row)


class _Lines:
    """A file's lines, of which those of the row that is being read can be read again."""

    def __init__(self, text: Iterable[str]) -> None:
        self._text = iter(text)
        self._again: deque[str] = deque()
        self._row: list[str] = []
        self._number = 1

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._text)
        self._row.append(line)
        return line

    def begin_row(self) -> int:
        """The number of the line that is read next, where a row begins."""
        self._number += len(self._row)
        self._row.clear()
        return self._number

    def back_to_second(self) -> str:
        """The first line of the row; those after it are read again."""
        first, *others = self._row
        self._again.extendleft(reversed(others))
        self._row = [first]
        return first.rstrip("\r\n")

    def doubtful(self) -> list[tuple[int, str]]:
        """The next lines, as far as they may be inside of a text whose quotes are wrong.

        The next quote decides. Where it opens a cell, or where none comes within the longest cell
        that a reader takes, they are rows of their own.
        """
        begin = self.begin_row()
        length = 0
        for line in self:
            length += len(line)
            quote = line.find('"')
            if quote > 0 and line[quote - 1] != ",":
                return [(begin + at, each.rstrip("\r\n")) for at, each in enumerate(self._row)]
            if quote >= 0 or length > csv.field_size_limit():
                break
        self._again.extendleft(reversed(self._row))
        self._row = []
        return []


def named(header: Sequence[str], path: Path) -> list[str]:
    """The names in a header. Raises `CsvError` where commas do not separate them."""
    if any("\0" in name for name in header):
        raise CsvError(f"{path} has NUL characters, as UTF-16 text does; save it as UTF-8")
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
