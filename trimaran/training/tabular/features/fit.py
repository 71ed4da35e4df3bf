"""Fitting a feature plan to the training part of a table.

The result is what `trimaran.served.transform` applies, in training as in serving. Nothing
here computes a feature: the columns that bins and scales are fitted to come out of that transform.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from trimaran.served.transform import TransformData
from trimaran.system.errors import TrimaranError
from trimaran.training.tabular.data.schema import Schema, nearest
from trimaran.training.tabular.features import columns
from trimaran.training.tabular.features.checks import check_plan
from trimaran.training.tabular.features.frames import table_of
from trimaran.training.tabular.features.plan import FeaturePlan
from trimaran.training.tabular.features.unscaled import fit_unscaled, wide_columns

__all__ = ["FittedFeatures", "fit_features"]


@dataclass(frozen=True)
class FittedFeatures:
    """A fitted transform, and what was done that the plan does not say."""

    data: TransformData
    notes: tuple[str, ...]
    """A sentence each, such as which columns were dropped and why."""


def fit_features(
    plan: FeaturePlan,
    schema: Schema,
    frame: pd.DataFrame,
    target: npt.ArrayLike,
    seed: int,
) -> FittedFeatures:
    """Fit a plan to the rows given and to nothing else: pass the training part only.

    `frame` has the columns of the schema's fields, as in `sources.Dataset.frame`; `target` is
    `[rows]`, 1 for a positive outcome and 0 for another. `seed` chooses the rows that are stored
    for neighbours. Target encoding is fitted to these rows too, so that a training row's own
    outcome is in its category's share; the plan's `smoothing` keeps its part small. A column that
    does not vary in training is dropped, but for a flag that the plan lists, which is held at 0.
    Raises `TrimaranError` for a plan or data that do not fit the schema.
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
            notes.append(f"the column {name!r} is held at 0: it is the same in all training rows")
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


def _outcomes(target: npt.ArrayLike, rows: int) -> npt.NDArray[np.float64]:
    outcomes = np.asarray(target, dtype=np.float64)
    if outcomes.shape != (rows,):
        raise TrimaranError(
            f"the target has the shape {list(outcomes.shape)}, and the table has {rows} rows; "
            "give one value for each row"
        )
    if not rows:
        raise TrimaranError("there are no training rows to fit features to; add records")
    if not np.isin(outcomes, (0, 1)).all():
        raise TrimaranError("the target holds values other than 0 and 1; encode it first")
    return outcomes


def _left_out(plan: FeaturePlan, schema: Schema, data: TransformData) -> set[str]:
    """The columns that the plan leaves out. Raises `TrimaranError` for a name that is none."""
    encoded = {category.name: set(category.columns) for category in data.categories}
    possible = {
        *data.outputs,
        *(field.name for field in schema.fields),
        *(f"{field.name}_missing" for field in schema.fields),
        *(derived.name for derived in plan.derived),
    }
    for name in plan.leave_out:
        if name not in possible:
            raise TrimaranError(
                f"leave_out lists {name!r}, which is no column; {nearest(name, sorted(possible))}"
            )
    return {column for name in plan.leave_out for column in encoded.get(name, {name})}


def _scales(plan: FeaturePlan, data: TransformData) -> Iterator[tuple[str, str | None]]:
    """How each column is scaled: indicators, of 0 and 1, are not."""
    for field in data.fields:
        if field["kind"] == "number":
            yield field["name"], plan.option(field["name"], "scale")
    for category in data.categories:
        indicator = plan.option(category.name, "encode") in ("onehot", "binary")
        for name in category.columns:
            yield name, None if indicator else plan.option(category.name, "scale")
    for name in data.flags:
        yield f"{name}_missing", None
    for derived in data.derived:
        yield derived.name, plan.option(derived.name, "scale")
    for bins in data.bins:
        for name in bins.columns:
            yield name, None if len(bins.columns) > 1 else plan.scale
