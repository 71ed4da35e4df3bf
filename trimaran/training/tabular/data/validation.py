"""Errors and warnings about a table, before a model is trained on it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from trimaran.served.dates import as_text, days_of
from trimaran.served.words import MOST_CHARACTERS
from trimaran.system.errors import TrimaranError
from trimaran.training.tabular.data.schema import FLOAT32_MAX, FieldSchema, Schema
from trimaran.training.tabular.tasks.task import Target
from trimaran.training.tabular.wording import nearest, quote, some

__all__ = ["MOST_MISSING", "Finding", "require_valid", "validate"]

MOST_MISSING = 0.7
"""A field that lacks a larger share of its values is dropped."""

_EARLIEST, _LATEST = days_of("1900-01-01"), days_of("2200-01-01")
_NAME_LIKE = 0.5
_SHOWN_ERRORS = 3

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Finding:
    """One finding about a column, or about the rows."""

    column: str | None
    """None for a finding about the rows."""
    severity: Severity
    """An `error` must be corrected before training; a `warning` need not be."""
    message: str

    def __str__(self) -> str:
        return self.message if self.column is None else f"{self.column!r}: {self.message}"


def validate(frame: pd.DataFrame, schema: Schema) -> list[Finding]:
    """All findings in a table with the columns and types of `Dataset.frame`, errors first.

    Rows are counted from 1. Fields are checked for type, range, whole numbers, allowed categories,
    missing values, constant values, values that look like names, and leaks of the outcome. The
    target must be one that the schema's task can learn. Rows must have a value in some field;
    repeated rows are a warning.
    """
    absent = [name for name in schema.columns if name not in frame.columns]
    if absent:
        return [Finding(name, "error", "the column is missing; add it") for name in absent]
    if not len(frame):
        return [Finding(None, "error", "there are no rows; add records")]
    frame = frame.reset_index(drop=True)
    found = [*_target(frame[schema.target], schema), *_time(frame, schema), *_rows(frame, schema)]
    known = frame[frame[schema.target].notna()]
    target = schema.outcomes(known)
    for field in schema.fields:
        of_field = [Finding(field.name, *about) for about in _field(frame[field.name], field)]
        found += of_field
        if not any(finding.severity == "error" for finding in of_field):
            found += _leaks(known[field.name], schema, target)
    return sorted(found, key=lambda finding: finding.severity)


def require_valid(frame: pd.DataFrame, schema: Schema, source: str = "the table") -> list[Finding]:
    """The warnings of `validate`. Raises `TrimaranError` with the first errors if there are any."""
    found = validate(frame, schema)
    errors = [finding for finding in found if finding.severity == "error"]
    if not errors:
        return found
    shown = "; ".join(map(str, errors[:_SHOWN_ERRORS]))
    more = len(errors) - _SHOWN_ERRORS
    rest = f"; and {more} more, which 'trimaran explore' lists" if more > 0 else ""
    raise TrimaranError(f"{source} cannot be trained on: {shown}{rest}")


def _target(column: pd.Series, schema: Schema) -> Iterator[Finding]:
    missing = int(column.isna().sum())
    if missing:
        yield Finding(
            schema.target, "error", f"{some(missing, 'row')} without a target; remove them"
        )
    for message in schema.task.findings(column):
        yield Finding(schema.target, "error", message)


def _time(frame: pd.DataFrame, schema: Schema) -> Iterator[Finding]:
    missing = 0 if schema.time is None else int(frame[schema.time].isna().sum())
    if missing:
        yield Finding(
            schema.time,
            "error",
            f"{some(missing, 'row')} without a date, and the rows are split by it; remove them",
        )


def _rows(frame: pd.DataFrame, schema: Schema) -> Iterator[Finding]:
    if schema.identifier is not None:
        identifiers = frame[schema.identifier]
        present = identifiers.dropna()
        twice = present[present.duplicated()]
        if len(twice):
            yield Finding(
                schema.identifier,
                "error",
                f"{_bad(twice, 'there twice', 'identifier')}; keep one row of each",
            )
        if len(present) < len(frame):
            yield Finding(
                schema.identifier,
                "warning",
                f"{some(len(frame) - len(present), 'row')} without an identifier",
            )
    fields = [field.name for field in schema.fields]
    empty = frame[frame[fields].isna().all(axis=1)]
    if len(empty):
        yield Finding(
            None,
            "error",
            f"{some(len(empty), 'row')} without a value in any field, the first is row "
            f"{empty.index[0] + 1}; remove them",
        )
    names = [name for name in schema.columns if name != schema.identifier]
    repeated = frame[frame.duplicated(subset=names)]
    if len(repeated):
        yield Finding(
            None,
            "warning",
            f"{some(len(repeated), 'row')} the same as an earlier one in every field, the first "
            f"is row {repeated.index[0] + 1}; "
            + (
                "a copy in training and in test makes scores too good"
                if schema.time is None
                else "copies have one date, so they are in one part"
            ),
        )


def _field(column: pd.Series, field: FieldSchema) -> Iterator[tuple[Severity, str]]:
    share = float(column.isna().mean())
    if share > MOST_MISSING:
        yield "warning", f"{share:.0%} of the values are missing; the field will be dropped"
    present = column.dropna()
    of_kind = {"number": _number, "category": _category, "date": _date, "text": _text}
    yield from of_kind[field.kind](present, field)
    if len(present) and present.nunique() == 1:
        shown = as_text if field.kind == "date" else quote
        yield (
            "warning",
            f"every value is {shown(present.iloc[0])}; a model can learn nothing from the field"
            + (", except whether it is missing" if share else ""),
        )


def _number(present: pd.Series, field: FieldSchema) -> Iterator[tuple[Severity, str]]:
    if not pd.api.types.is_numeric_dtype(present.dtype) or present.dtype == bool:
        if len(present):
            yield (
                "error",
                f"{quote(present.iloc[0])} is not a number; convert the column, or make the field "
                "a category",
            )
        return
    infinite = present[np.isinf(present)]
    if len(infinite):
        yield "error", f"{_bad(infinite, 'infinite')}; leave such a cell empty"
        return
    least = -FLOAT32_MAX if field.least is None else field.least
    most = FLOAT32_MAX if field.most is None else field.most
    outside = present[(present < least) | (present > most)]
    if len(outside):
        yield (
            "error",
            f"{_bad(outside, f'outside {least:g} to {most:g}')}; correct the data or the schema",
        )
    broken = present[present != np.floor(present)]
    if field.whole and len(broken):
        yield (
            "error",
            f"{_bad(broken, 'not whole')}; correct the data, or remove whole from the schema",
        )


def _category(present: pd.Series, field: FieldSchema) -> Iterator[tuple[Severity, str]]:
    strangers = present[[not isinstance(value, str) for value in present]]
    if len(strangers):
        yield "error", f"{_bad(strangers, 'not text')}; convert the column"
        return
    if field.values is not None:
        unknown = present[~present.isin(field.values)]
        if len(unknown):
            yield (
                "error",
                f"{_bad(unknown, 'not among those of the schema')}; correct the data, or add the "
                f"value ({nearest(unknown.iloc[0], field.values)})",
            )
    spaced = present[present != present.str.strip()]
    if len(spaced):
        yield (
            "warning",
            f"{_bad(spaced, 'padded with spaces')}; it is not the category without spaces",
        )
    distinct = present.nunique()
    if distinct > 20 and distinct > _NAME_LIKE * len(present):
        yield (
            "warning",
            f"nearly as many values as rows ({distinct} in {len(present)}): it looks like a name, "
            "and a model cannot learn from it; make it the identifier, or one of the leaks",
        )


def _text(present: pd.Series, field: FieldSchema) -> Iterator[tuple[Severity, str]]:
    strangers = present[[not isinstance(value, str) for value in present]]
    if len(strangers):
        yield "error", f"{_bad(strangers, 'not text')}; convert the column"
        return
    long = present[present.str.len() > MOST_CHARACTERS]
    if len(long):
        yield (
            "error",
            f"{_bad(long, f'longer than {MOST_CHARACTERS:,} characters')}; shorten it, or leave "
            f"{field.name!r} out",
        )


def _date(present: pd.Series, field: FieldSchema) -> Iterator[tuple[Severity, str]]:
    least = -np.inf if field.least is None else field.least
    most = np.inf if field.most is None else field.most
    outside = present[(present < least) | (present > most)].map(as_text)
    if len(outside):
        yield (
            "error",
            f"{_bad(outside, 'outside least and most')}; correct the data or the schema",
        )
    strange = present[(present < _EARLIEST) | (present >= _LATEST)].map(as_text)
    if len(strange):
        yield (
            "warning",
            f"{_bad(strange, 'before 1900 or after 2199')}; leave such a cell empty if it stands "
            "for a date that is not known",
        )


def _leaks(column: pd.Series, schema: Schema, target: Target) -> Iterator[Finding]:
    for found in schema.task.leaks(column, target):
        yield Finding(
            str(column.name),
            "error",
            f"{found}, so it is probably known only after it; move the column from the schema's "
            "fields to its leaks",
        )


def _bad(bad: pd.Series, what: str, noun: str = "value") -> str:
    example = f"such as {quote(bad.iloc[0])} in row {bad.index[0] + 1}"
    return f"{some(len(bad), noun)} {what}, {example}"
