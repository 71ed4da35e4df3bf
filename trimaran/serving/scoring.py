"""Scoring a CSV file of records in batches: answers to one file, refused rows to another.

Each column is an input of the model, by name. Cells are read as `trimaran.system.csv_rows` says,
like those of a table that is trained on. Rows keep their order. A batch that the server refuses is
halved until the bad rows are alone, so that each gets its own reason and no good row is lost.
Neither file appears before all rows are done, and no file of refused rows where there are none.

A spreadsheet runs a cell that begins with `=`, `+`, `-` or `@` as a formula. Such a cell, unless it
is a number, is written with an apostrophe before it, which spreadsheets show as text.
"""

from __future__ import annotations

import csv
import difflib
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TextIO

import numpy as np

from trimaran.repository.config import ModelConfig, inputs_of, outputs_of
from trimaran.repository.dtypes import TensorSpec
from trimaran.serving.client import Client, UnreachableError
from trimaran.system.csv_rows import (
    CsvError,
    CsvRow,
    check_header,
    named,
    number_in,
    numbered_rows,
    opened_csv,
)
from trimaran.system.errors import TrimaranError, UsageError
from trimaran.system.files import replacing

__all__ = ["Scored", "score_csv"]

_ROWS_AT_ONCE = 512
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class Scored:
    """How many rows were answered and how many were refused."""

    answered: int
    refused: int


@dataclass(frozen=True)
class _Row:
    line: int
    cells: list[str]
    values: list[float | bytes]
    """One for each column that is an input."""


@dataclass(frozen=True)
class _Refusal:
    row: _Row
    reason: str


class _Columns:
    """The inputs that a header names, and how their cells are read."""

    def __init__(self, config: ModelConfig, header: Sequence[str], ignored: Sequence[str]) -> None:
        specs = {spec.name: spec for spec in inputs_of(config)}
        _check_inputs(config, specs.values())
        missing = [name for name, spec in specs.items() if not (name in header or spec.optional)]
        for name in header:
            if name in specs or name in ignored:
                continue
            near = difflib.get_close_matches(name, specs, n=1)
            if near or not missing:
                hint = f"did you mean {near[0]!r}? " if near else ""
                raise UsageError(
                    f"{config.name} has no input {name!r}; {hint}leave the column out with "
                    f"--ignore {name}, or rename it"
                )
        if missing:
            raise UsageError(
                f"column {missing[0]!r} is missing, which {config.name} needs; its inputs are "
                f"{', '.join(specs)}"
            )
        for name in ignored:
            if name not in header:
                raise UsageError(f"--ignore {name}: there is no such column")
        self.header = list(header)
        self.specs = [specs[name] for name in header if name in specs and name not in ignored]
        self.places = [header.index(spec.name) for spec in self.specs]
        own = [spec for spec in outputs_of(config) if spec.name not in specs]
        self.added = [name for spec in own for name in _names(spec.name, spec.dims[0])]
        """The outputs, without those that repeat an input: a column for each value."""
        for name in self.added:
            if name in header:
                raise UsageError(f"column {name!r} has the name of an output; rename it")
        if not self.specs:
            raise UsageError(f"no column is an input of {config.name}")

    def read(self, line: int, cells: list[str], fault: str) -> _Row | _Refusal:
        """A row of text as values, or why it cannot be one."""
        row = _Row(line, cells, [])
        if fault:
            return _Refusal(row, fault)
        if len(cells) != len(self.header):
            return _Refusal(row, f"has {len(cells)} cells; the header has {len(self.header)}")
        for spec, place in zip(self.specs, self.places, strict=True):
            text = cells[place].strip()
            if spec.dtype.triton == "BYTES":
                row.values.append(text.encode())
                continue
            number = number_in(text, float(np.finfo(spec.dtype.numpy).max))
            if number is None:
                return _Refusal(
                    row,
                    f"field {spec.name!r} is {text!r}; expected a number that "
                    f"{spec.dtype.triton} can hold",
                )
            row.values.append(number)
        return row

    def tensors(self, rows: Sequence[_Row]) -> dict[str, np.ndarray]:
        """The inputs of a batch, each `[rows, 1]`."""
        tensors = {}
        for index, spec in enumerate(self.specs):
            column = np.empty((len(rows), 1), dtype=spec.dtype.numpy)
            with np.errstate(over="ignore"):
                column[:, 0] = [row.values[index] for row in rows]
            tensors[spec.name] = column
        return tensors


def score_csv(
    client: Client,
    config: ModelConfig,
    source: Path,
    target: Path,
    refused: Path,
    *,
    ignored: Sequence[str] = (),
    formulas: bool = False,
    progress: Callable[[int], None] = lambda _: None,
) -> Scored:
    """Score every row of `source` with the model of `config`.

    `target` gets the file's columns and the model's outputs; `refused` the line, the reason and
    the columns of each row that could not be used. Without such rows there is no file `refused`,
    and one of an earlier call is removed. `formulas` leaves cells as they are that a spreadsheet
    runs. `progress` is called with the bytes read so far. Raises `UsageError` for a file that
    cannot be read or a header that does not fit, `UnreachableError` when the server goes away; in
    each case nothing is written.
    """
    scored = refused_rows = 0
    try:
        with ExitStack() as stack:
            text = stack.enter_context(opened_csv(source))
            lines = numbered_rows(_counted(text, progress), source)
            columns = _Columns(config, _header(lines, source, ignored), ignored)
            answers = _writer(stack.enter_context(replacing(target)), formulas)
            refusals = None
            answers([*columns.header, *columns.added])
            rows = (columns.read(*row) for row in lines)
            size = min(config.max_batch_size, _ROWS_AT_ONCE)
            while batch := list(islice(rows, size)):
                for row, answer in _answered(client, config.name, columns, batch):
                    if isinstance(row, _Row):
                        scored += 1
                        answers([*row.cells, *(answer[name] for name in columns.added)])
                        continue
                    if refusals is None:
                        refusals = _writer(stack.enter_context(replacing(refused)), formulas)
                        refusals(["line", "reason", *columns.header])
                    refused_rows += 1
                    refusals([str(row.row.line), row.reason, *row.row.cells])
        if refusals is None:
            refused.unlink(missing_ok=True)
    except CsvError as error:
        raise UsageError(str(error)) from error
    except OSError as error:
        raise UsageError(f"the scores of {source} cannot be written: {error}") from error
    return Scored(scored, refused_rows)


def _answered(
    client: Client, model: str, columns: _Columns, batch: Sequence[_Row | _Refusal]
) -> Iterator[tuple[_Row | _Refusal, dict[str, str]]]:
    """Each row of a batch in order, with its outputs as text."""
    usable = [row for row in batch if isinstance(row, _Row)]
    results = iter(_infer(client, model, columns, usable) if usable else [])
    for row in batch:
        if isinstance(row, _Refusal):
            yield row, {}
            continue
        result = next(results)
        yield (_Refusal(row, result), {}) if isinstance(result, str) else (row, result)


_ONLY_ROW = re.compile(r"([A-Za-z_][A-Za-z0-9_.-]*: )?row 0: ")
"""Where an error arose, when one row was sent: the step that refused it, and its row."""


def _infer(
    client: Client, model: str, columns: _Columns, rows: Sequence[_Row]
) -> list[dict[str, str] | str]:
    """The outputs of each row, or the reason why it was refused."""
    try:
        outputs = client.infer(model, columns.tensors(rows)).outputs
    except UnreachableError:
        raise
    except TrimaranError as error:
        if len(rows) == 1:
            reason = str(error).removeprefix(f"in ensemble '{model}', ")
            return [_ONLY_ROW.sub("", reason, count=1) if _ONLY_ROW.match(reason) else reason]
        middle = len(rows) // 2
        return [
            *_infer(client, model, columns, rows[:middle]),
            *_infer(client, model, columns, rows[middle:]),
        ]
    values = {
        column: array[:, place]
        for name, array in outputs.items()
        for place, column in enumerate(_names(name, array.shape[1]))
    }
    return [
        {name: _text(array[index]) for name, array in values.items()} for index in range(len(rows))
    ]


def _names(output: str, width: int) -> list[str]:
    """The columns of an output: itself, or itself with the place of each of its values."""
    return [output] if width == 1 else [f"{output}_{place}" for place in range(width)]


def _check_inputs(config: ModelConfig, specs: Iterable[TensorSpec]) -> None:
    if config.max_batch_size == 0:
        raise UsageError(f"{config.name} takes no batches; give --json")
    for spec in specs:
        if spec.dims != (1,) or spec.dtype.triton not in ("BYTES", "FP32", "FP64"):
            raise UsageError(
                f"{config.name}: {spec} is not one number or text for each row; give --json"
            )
    for spec in outputs_of(config):
        known = len(spec.dims) == 1 and spec.dims[0] > 0
        if not known or spec.dtype.triton not in ("BYTES", "FP32", "FP64", "BOOL"):
            raise UsageError(
                f"{config.name}: {spec} is not a few numbers or texts for each row; give --json"
            )


def _header(rows: Iterator[CsvRow], source: Path, ignored: Sequence[str]) -> list[str]:
    cells = next(rows, CsvRow(1, [])).cells
    if not any(cells):
        raise UsageError(f"{source} has no header; its first line must name the columns")
    names = named(cells, source)
    kept = [name for name in names if name or "" not in ignored]
    check_header(kept, source, 'leave it out with --ignore ""')
    return names


def _counted(text: TextIO, progress: Callable[[int], None]) -> Iterator[str]:
    read = 0
    for line in text:
        read += len(line.encode())
        yield line
        progress(read)


def _writer(file: TextIO, formulas: bool) -> Callable[[Iterable[str]], object]:
    """A function that writes a row of cells."""
    write = csv.writer(file).writerow
    return write if formulas else lambda cells: write(map(_text_not_formula, cells))


def _text_not_formula(cell: str) -> str:
    if cell.startswith(_FORMULA) and number_in(cell, math.inf) is None:
        return f"'{cell}"
    return cell


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return str(value).lower() if isinstance(value, np.bool_) else str(value)
