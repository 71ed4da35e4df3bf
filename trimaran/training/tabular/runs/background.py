"""A few rows of the training part, as they were before the transform.

An explanation compares a row with them. They have the fields of the schema, and no identifiers.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pandas as pd

from trimaran.training.tabular.data.schema import Schema
from trimaran.training.tabular.runs.trained import TrainedRun

__all__ = ["BACKGROUND", "background_of", "background_text"]

BACKGROUND = "background.json"
_ROWS = 40


def background_text(frame: pd.DataFrame, schema: Schema, seed: int) -> str:
    """Some rows of the training part as JSON: of each field its values, null where missing."""
    chosen = np.sort(np.random.default_rng(seed).permutation(len(frame))[:_ROWS])
    rows = frame.iloc[chosen]
    values = {field.name: _plain(rows[field.name].tolist()) for field in schema.fields}
    return json.dumps(values, indent=1, allow_nan=False) + "\n"


def background_of(run: TrainedRun, schema: Schema) -> pd.DataFrame | None:
    """The rows that a run kept; None of one that kept none. Raises `TrimaranError`."""
    if not (run.directory / BACKGROUND).is_file():
        return None
    try:
        found = json.loads(run.text(BACKGROUND))
        measured = {*schema.number_columns, *schema.date_columns}
        columns = {
            field.name: pd.Series(
                found[field.name], dtype="float64" if field.name in measured else object
            )
            for field in schema.fields
        }
        return pd.DataFrame(columns)
    except (ValueError, KeyError, TypeError) as error:
        raise run.unreadable(BACKGROUND, error) from error


def _plain(values: Sequence[object]) -> list[object]:
    return [None if value is None or value != value else value for value in values]
