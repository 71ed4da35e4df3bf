"""How good decisions are for groups of rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pandas as pd

from trimaran.training.tabular.data.schema import FieldSchema, Schema
from trimaran.training.tabular.evaluation.metrics import Confusion, Flags

__all__ = ["FEWEST_POSITIVES", "FEWEST_ROWS", "Cuts", "Segment", "segments"]

FEWEST_ROWS = 50
FEWEST_POSITIVES = 10
"""With fewer rows or positives one mistake more or less changes F1 by several hundredths."""

_MOST_VALUES = 6
_MISSING = "missing"

Cuts = Mapping[str, Sequence[int]]
"""Number fields to group by, and the smallest value of each group but the first."""


@dataclass(frozen=True)
class Segment:
    """The rows of one value, or range of values, of a field."""

    field: str
    group: str
    rows: int
    positives: int
    f1: float | None
    """None where no row is positive and none was decided positive."""
    precision: float | None
    """None where none was decided positive."""
    recall: float | None
    """None where none is positive."""
    small: bool
    """Whether there are too few rows or positives."""


def segments(
    frame: pd.DataFrame, schema: Schema, target: Flags, decided: Flags, cuts: Cuts
) -> list[Segment]:
    """By every category field of six values or fewer, and by the number fields in `cuts`."""
    found = []
    for field in schema.fields:
        for group, inside in _groups(frame[field.name], field, cuts.get(field.name)):
            if inside.any():
                confusion = Confusion.of(target[inside], decided[inside])
                found.append(_segment(field.name, group, confusion))
    return found


def _segment(field: str, group: str, found: Confusion) -> Segment:
    positives = found.true_positive + found.false_negative
    decided = found.true_positive + found.false_positive
    return Segment(
        field,
        group,
        found.rows,
        positives,
        found.f1 if positives or decided else None,
        found.precision if decided else None,
        found.recall if positives else None,
        found.rows < FEWEST_ROWS or positives < FEWEST_POSITIVES,
    )


def _groups(
    column: pd.Series, field: FieldSchema, cuts: Sequence[int] | None
) -> Iterator[tuple[str, Flags]]:
    missing = column.isna().to_numpy(dtype=bool)
    if field.kind == "category":
        values = sorted(map(str, column[~missing].unique()))
        if len(values) > _MOST_VALUES:
            return
        for value in values:
            yield value, (column == value).to_numpy(dtype=bool)
    elif cuts:
        numbers: npt.NDArray[np.float64] = column.to_numpy(dtype=np.float64)
        bounds = [-np.inf, *cuts, np.inf]
        for name, (low, high) in zip(_range_names(field, cuts), pairwise(bounds), strict=True):
            yield name, (numbers >= low) & (numbers < high)
    else:
        return
    yield _MISSING, missing


def _range_names(field: FieldSchema, cuts: Sequence[int]) -> list[str]:
    first, last = f"below {cuts[0]}", f"{cuts[-1]} or more"
    if not field.whole:
        middle = [f"{low} to below {high}" for low, high in pairwise(cuts)]
        return [first, *middle, last]
    if field.least is not None:
        first = _whole_range(int(field.least), cuts[0])
    middle = [_whole_range(low, high) for low, high in pairwise(cuts)]
    return [first, *middle, last]


def _whole_range(low: int, end: int) -> str:
    return str(low) if low == end - 1 else f"{low} to {end - 1}"
