"""Fitting a feature plan to the training part of a table, and transforming tables by the result.

`trimaran.served.transform` applies a fitted transform, in training as in serving. Nothing
here computes a feature: bins and scales are fitted to columns that the same transform makes. Rows
of a pandas frame are read as the model server reads records: with the same rounding, policy and
ranges.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from trimaran.served.records import RecordError, RecordReader, Table
from trimaran.served.transform import Transform, TransformData
from trimaran.system.errors import TrimaranError
from trimaran.training.tabular.data.schema import Schema
from trimaran.training.tabular.features import columns
from trimaran.training.tabular.features.plan import FeaturePlan, check_plan
from trimaran.training.tabular.features.unscaled import fit_unscaled, wide_columns
from trimaran.training.tabular.wording import nearest

__all__ = ["FittedFeatures", "fit_features", "table_of", "transform_frame"]


@dataclass(frozen=True)
class FittedFeatures:
    """A fitted transform, and its deviations from the plan."""

    data: TransformData
    notes: tuple[str, ...]
    """A sentence each, such as which columns were dropped and why."""


def fit_features(
    plan: FeaturePlan,
    schema: Schema,
    frame: pd.DataFrame,
    target: npt.ArrayLike | None,
    seed: int,
) -> FittedFeatures:
    """Fit a plan to these rows, which must be the training part only.

    `frame` has the columns of the schema's fields, as in `sources.Dataset.frame`; `target` is
    the number of each row, `[rows]`, whose means target encoding takes, such as 1 for a positive
    outcome and 0 for another; None where the task has no such number. `seed` chooses the rows that
    are stored for neighbours. Target encoding is fitted to the same rows, so a training row's own
    outcome is in its category's share; the plan's `smoothing` keeps that effect small. A column
    that does not vary in training is dropped, except for a flag that the plan lists, which is held
    at 0. Raises `TrimaranError` for a plan or data that do not fit the schema.
    """
    check_plan(plan, schema)
    table = table_of(frame, schema)
    outcomes = _outcomes(target, len(table))
    unscaled = fit_unscaled(plan, schema, table, outcomes, seed)
    hidden = {*unscaled.dropped, *_left_out(plan, schema, unscaled.data)}
    listed = plan.flag_missing if isinstance(plan.flag_missing, tuple) else ()
    asked = {f"{name}_missing" for name in listed}
    scales = dict(_scales(plan, unscaled.data))
    wide = wide_columns(unscaled.data, table).astype(np.float64)
    outputs, shift, factor = [], [], []
    notes = list(unscaled.notes)
    for name, column in zip(unscaled.data.outputs, wide.T, strict=True):
        if name in hidden:
            continue
        varies = bool(np.ptp(column) > 0)
        if not varies and name not in asked:
            notes.append(f"the column {name!r} was dropped: it is the same in all training rows")
            continue
        if not varies:
            notes.append(f"the column {name!r} is fixed at 0: it is the same in all training rows")
        outputs.append(name)
        by, times = columns.scaling(column, scales[name]) if varies else (0.0, 0.0)
        shift.append(by)
        factor.append(times)
    if not any(factor):
        raise TrimaranError(
            "no column is left for the model: each was left out or dropped; leave out fewer "
            "columns, or give training rows that differ"
        )
    data = replace(unscaled.data, outputs=outputs, shift=shift, factor=factor)
    return FittedFeatures(data, tuple(notes))


def table_of(frame: pd.DataFrame, schema: Schema) -> Table:
    """The rows of a frame as a served table; the frame has the columns of the schema's fields.

    Raises `TrimaranError`, with the row from 0, for values that the policy of
    `trimaran.served.records` refuses.
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
    days = np.empty((len(frame), len(schema.dates)), dtype=np.float64)
    for place, field in enumerate(schema.dates):
        days[:, place] = _numbers(frame[field.name])
    categories = [_texts(frame[field.name]) for field in schema.categories]
    texts = [_texts(frame[field.name]) for field in schema.texts]
    reader = RecordReader(schema.records_fields(), schema.identifier)
    try:
        return reader.from_columns(numbers, categories, days, texts)
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
    return transform.apply(table.numbers, transform.encode(table.categories), table.texts)


def _outcomes(target: npt.ArrayLike | None, rows: int) -> npt.NDArray[np.float64] | None:
    if not rows:
        raise TrimaranError("there are no training rows to fit features to; add records")
    if target is None:
        return None
    outcomes = np.asarray(target, dtype=np.float64)
    if outcomes.shape != (rows,):
        raise TrimaranError(
            f"the target has the shape {list(outcomes.shape)}, and the table has {rows} rows; "
            "give one value for each row"
        )
    if not np.isfinite(outcomes).all():
        raise TrimaranError("the target holds values that are no numbers; encode it first")
    return outcomes


def _left_out(plan: FeaturePlan, schema: Schema, data: TransformData) -> set[str]:
    """The columns that the plan leaves out. Raises `TrimaranError` for an unknown name."""
    encoded = {category.name: set(category.columns) for category in data.categories}
    encoded |= {text.name: set(text.columns) for text in data.texts}
    encoded |= {date.name: set(date.columns) for date in data.dates}
    possible = {
        *data.outputs,
        *(field.name for field in schema.fields),
        *(f"{field.name}_missing" for field in schema.fields),
        *(derived.name for derived in plan.derived),
    }
    for name in plan.leave_out:
        if name not in possible:
            raise TrimaranError(
                f"leave_out lists {name!r}, which is not a column; "
                f"{nearest(name, sorted(possible))}"
            )
    return {column for name in plan.leave_out for column in encoded.get(name, {name})}


def _scales(plan: FeaturePlan, data: TransformData) -> Iterator[tuple[str, str | None]]:
    """How each column is scaled; indicators of 0 and 1 are not."""
    for field in data.fields:
        if field["kind"] == "number":
            yield field["name"], plan.option(field["name"], "scale")
    for date in data.dates:
        for name in date.columns:
            yield name, plan.option(date.name, "scale")
    for category in data.categories:
        indicator = plan.option(category.name, "encode") in ("onehot", "binary")
        for name in category.columns:
            yield name, None if indicator else plan.option(category.name, "scale")
    for text in data.texts:
        for name in text.columns:
            yield name, None
    for name in data.flags:
        yield f"{name}_missing", None
    for derived in data.derived:
        yield derived.name, plan.option(derived.name, "scale")
    for bins in data.bins:
        for name in bins.columns:
            yield name, None if len(bins.columns) > 1 else plan.scale


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
