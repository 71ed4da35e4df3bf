"""Reading a CSV file of outcomes, for a feedback model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd

from trimaran.system.csv_rows import number_in
from trimaran.system.csv_table import read_csv
from trimaran.system.errors import TrimaranError, UsageError

__all__ = ["Columns", "OutcomeRow", "read_outcomes"]

_TRUE = {"1", "true", "yes", "y", "t"}
_FALSE = {"0", "false", "no", "n", "f"}
_SHOWN = 8
_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Columns:
    """Which columns of a file are read; None means the usual name."""

    id: str | None = None
    outcome: str | None = None
    time: str | None = None
    positive: str | None = None
    """The value that means true; any other value means false."""


@dataclass(frozen=True)
class OutcomeRow:
    """One row of the file."""

    line: int
    id: str
    outcome: bool | str | float
    time: str


def read_outcomes(
    path: Path, columns: Columns, id_names: Sequence[str], dtype: str = "BOOL"
) -> list[OutcomeRow]:
    """All rows, checked. `id_names` are the usual names of the column of ids, in order.

    `dtype` is the datatype of an outcome: `BOOL`, `BYTES` for a class, or `FP32`.

    Raises `TrimaranError` with the line for a row that cannot be used, and `UsageError` for a
    column that is not there.
    """
    frame = read_csv(path)
    ids = frame[_column(path, frame, "--id", columns.id, id_names)]
    outcomes = frame[_column(path, frame, "--outcome", columns.outcome, ("outcome",))]
    if columns.positive is not None and dtype != "BOOL":
        raise UsageError("--positive is for outcomes that are true or false; leave it out")
    if columns.positive is not None and columns.positive not in set(outcomes.str.strip()):
        raise UsageError(
            f"{path}: no outcome is {columns.positive!r}, which --positive names; the file has "
            f"{', '.join(map(repr, outcomes.str.strip().unique()[:_SHOWN]))}"
        )
    if columns.time or "time" in frame:
        times = list(frame[_column(path, frame, "--time", columns.time, ("time",))])
    else:
        times = [""] * len(frame)
    return [
        OutcomeRow(
            line,
            _id(path, line, name),
            _outcome(path, line, outcome, dtype, columns.positive),
            _time(path, line, time),
        )
        for line, name, outcome, time in zip(frame.index, ids, outcomes, times, strict=True)
    ]


def _column(
    path: Path, frame: pd.DataFrame, option: str, named: str | None, usual: Sequence[str]
) -> str:
    found = [name for name in ((named,) if named else usual) if name in frame]
    if found:
        return found[0]
    wanted = repr(named) if named else " or ".join(map(repr, usual))
    raise UsageError(
        f"{path} has no column {wanted}; its columns are {', '.join(map(str, frame))}: name the "
        f"one with {option}"
    )


def _id(path: Path, line: int, cell: str) -> str:
    if not cell.strip():
        raise TrimaranError(f"{path}, line {line}: the id is empty; leave the row out")
    return cell.strip()


def _outcome(
    path: Path, line: int, cell: str, dtype: str, positive: str | None
) -> bool | str | float:
    value = cell.strip()
    if not value:
        raise TrimaranError(
            f"{path}, line {line}: the outcome is empty; leave the row out until it is known"
        )
    if dtype == "BYTES":
        return value
    if dtype == "FP32":
        number = number_in(value, _LARGEST)
        if number is None or math.isnan(number):
            raise TrimaranError(
                f"{path}, line {line}: the outcome is {value!r}, and not a number; write it as "
                "1234.5, or leave the row out until it is known"
            )
        return number
    if positive is not None:
        return value == positive
    if value.lower() not in _TRUE | _FALSE:
        raise TrimaranError(
            f"{path}, line {line}: the outcome is {value!r}, neither true nor false; name the "
            "value that means true with --positive"
        )
    return value.lower() in _TRUE


def _time(path: Path, line: int, cell: str) -> str:
    try:
        if cell.strip():
            datetime.fromisoformat(cell.strip())
    except ValueError:
        raise TrimaranError(
            f"{path}, line {line}: the time is {cell!r}; expected ISO 8601, such as "
            "2026-11-22T13:00:00Z"
        ) from None
    return cell.strip()
