"""A pandas frame as the model server reads records: the same rounding, policy and ranges."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from trimaran.served.records import RecordError, RecordReader, Table
from trimaran.served.transform import Transform
from trimaran.system.errors import TrimaranError
from trimaran.training.tabular.data.schema import Schema, nearest

__all__ = ["table_of", "transform_frame"]


def table_of(frame: pd.DataFrame, schema: Schema) -> Table:
    """The rows of a frame, of the columns of the schema's fields, as a served table.

    Raises `TrimaranError` for what the policy of `trimaran.served.records` refuses, with
    the row from 0.
    """
    for field in schema.fields:
        if field.name not in frame.columns:
            raise TrimaranError(
                f"the table has no column {field.name!r}, which the schema {schema.name} needs; "
                f"{nearest(field.name, map(str, frame.columns))}"
            )
    numbers = np.empty((len(frame), len(schema.numbers)), dtype=np.float64)
    for place, field in enumerate(schema.numbers):
        numbers[:, place] = _numbers(frame[field.name])
    texts = [_texts(frame[field.name]) for field in schema.categories]
    reader = RecordReader(schema.records_fields(), schema.identifier)
    try:
        return reader.from_columns(numbers, texts)
    except RecordError as error:
        raise TrimaranError(f"{error}; correct the table, or the schema {schema.name}") from None


def transform_frame(
    transform: Transform, schema: Schema, frame: pd.DataFrame
) -> npt.NDArray[np.float32]:
    """A frame's features, float32 `[rows, len(transform.outputs)]`.

    Raises `TrimaranError` if the transform was fitted to other fields, and as `table_of` does.
    """
    expected = [(field.name, field.kind) for field in schema.fields]
    found = [(field["name"], field["kind"]) for field in transform.data.fields]
    if expected != found:
        other = next(iter([*set(expected) - set(found), *set(found) - set(expected), *expected]))
        raise TrimaranError(
            f"the transform was fitted to other fields, or in another order, than the schema "
            f"{schema.name} has (see {other[0]!r}); fit it again"
        )
    table = table_of(frame, schema)
    return transform.apply(table.numbers, transform.encode(table.categories))


def _numbers(column: pd.Series) -> npt.NDArray[np.float64]:
    if pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_bool_dtype(column.dtype):
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    values = [np.nan if _is_missing(value) else value for value in column]
    for row, value in enumerate(values):
        if type(value) not in (int, float):
            _refuse(row, column, value, "a number")
    return np.array(values, dtype=np.float64)


def _texts(column: pd.Series) -> list[str | None]:
    values = [None if _is_missing(value) else value for value in column]
    for row, value in enumerate(values):
        if value is not None and not isinstance(value, str):
            _refuse(row, column, value, "text")
    return values


def _refuse(row: int, column: pd.Series, value: object, expected: str) -> None:
    raise TrimaranError(
        f"row {row}: column {column.name!r} is {str(value)[:40]!r}; expected {expected}, so "
        "convert the column, or change its type in the schema"
    )


def _is_missing(value: object) -> bool:
    return value is None or value is pd.NA or value is pd.NaT or value != value
