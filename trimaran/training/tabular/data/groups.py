"""Groups of rows, by the values and ranges of fields."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pandas as pd

from trimaran.training.tabular.data.schema import FieldSchema, Schema

__all__ = ["Cuts", "groups"]

_MOST_VALUES = 6
_MISSING = "missing"

Cuts = Mapping[str, Sequence[int]]
"""Number fields to group by, and the smallest value of each group but the first."""
Flags = npt.NDArray[np.bool_]


def groups(frame: pd.DataFrame, schema: Schema, cuts: Cuts) -> Iterator[tuple[str, str, Flags]]:
    """Field, group, and which rows are in it, bool `[rows]`; only groups that hold a row.

    By every category field of six values or fewer, and by the number fields in `cuts`.
    """
    for field in schema.fields:
        for group, inside in _of_field(frame[field.name], field, cuts.get(field.name)):
            if inside.any():
                yield field.name, group, inside


def _of_field(
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
