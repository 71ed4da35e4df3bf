"""What the columns of an unknown table seem to hold, as a schema for a person to correct.

| a column | becomes |
|---|---|
| all of whose cells are numbers | a number |
| all of whose cells are ISO 8601 dates, with or without a time | a date |
| of texts that repeat, or of truth values | a category |
| different in every row, and named like a key, such as `customer_id` | the identifier |
| that counts the rows, has one value only, long or mostly different texts | ignored |

A column that is a number in nearly all rows, or has decimal commas, is refused with a cell that is
none: as a category it would be a bad feature without a word. So is a column that is a date in
nearly all rows, or has dates such as 03/04/2020, which do not say which is the day.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

import pandas as pd

from trimaran.served.dates import as_text, days_of
from trimaran.system.csv_rows import number_in
from trimaran.system.errors import TrimaranError, UsageError
from trimaran.training.tabular.data.reading import text_of
from trimaran.training.tabular.data.schema import (
    FLOAT32_MAX,
    MOST_FIELDS,
    FieldSchema,
    Schema,
)
from trimaran.training.tabular.tasks.named import infer_task
from trimaran.training.tabular.wording import nearest

__all__ = ["infer_schema", "schema_text"]

_MOSTLY = 0.8
"""The share of numbers from which a column with other cells is taken for a damaged one."""
_NAME_LIKE = 0.5
"""A column of texts of which a larger share is different holds names."""
_FEW = 20
"""So many values are categories, whatever their share of the rows."""
_LONG = 60
"""Characters of a text on average from which it is free text."""
_KEY = re.compile(r"(^|[_\s.-])(id|uuid|guid|key|no|nr|number|index)$|[a-z]I[dD]$|^rownames?$")
_OTHER_DATE = re.compile(
    r"(\d{1,2}([/.-])\d{1,2}\2(\d{4}|\d{2})|\d{4}([/.])\d{1,2}\4\d{1,2})(\D.*)?"
)
_DECIMAL_COMMA = re.compile(r"[+-]?(\d{1,3}(\.\d{3})+|\d+),\d+")


def infer_schema(
    raw: pd.DataFrame,
    name: str,
    target: str,
    *,
    task: str | None = None,
    positive: str | None = None,
) -> tuple[Schema, tuple[str, ...]]:
    """A schema of the table's columns with `target` to predict, and notes on what is left out.

    `raw` holds texts, numbers or truth values. `task` and `positive` are what is not to be inferred
    (`tasks.named.infer_task`). Raises `UsageError` for a target that is no column or an unknown
    task, and `TrimaranError` for a column that is damaged.
    """
    columns = [str(column) for column in raw.columns]
    if target not in columns:
        raise UsageError(f"there is no column {target!r} to predict; {nearest(target, columns)}")
    if len(columns) > MOST_FIELDS + 2:
        raise TrimaranError(
            f"the table has {len(columns)} columns, and a record may have {MOST_FIELDS} fields; "
            "keep those that a model needs"
        )
    texts = {column: [text_of(cell) for cell in raw[column]] for column in columns}
    fields, ignored, notes = [], [], []
    identifier = None
    for column in columns:
        if column == target:
            continue
        present = [text for text in texts[column] if text]
        unused = _unused(column, present, len(raw))
        if unused == _IDENTIFIER and identifier is None:
            identifier = column
        elif unused:
            ignored.append(column)
            notes.append(f"the column {column!r} is ignored: it {unused}")
        else:
            fields.append(FieldSchema(column, _kind(raw[column], present)))
    if not fields:
        raise TrimaranError(
            f"no column besides {target!r} can be learned from; "
            + ("; ".join(notes) or "add columns that say something about a row")
        )
    found = infer_task(texts[target], FLOAT32_MAX, task, positive)
    schema = Schema(
        name, target, found, tuple(fields), identifier=identifier, ignored=tuple(ignored)
    )
    return schema, tuple(notes)


def schema_text(schema: Schema) -> str:
    """The schema as TOML, which `parse_schema` reads."""
    lines = [
        "# What the columns of the table hold; correct it where it is wrong.",
        f"target = {_quoted(schema.target)}",
    ]
    for key, value in schema.task.as_dict().items():
        if value:
            lines.append(f"{key} = {_quoted(value) if isinstance(value, str) else _listed(value)}")
    if schema.identifier is not None:
        lines.append(f"identifier = {_quoted(schema.identifier)}")
    if schema.time is not None:
        lines.append(f"time = {_quoted(schema.time)}  # the rows are split by it")
    if schema.gap_days:
        lines.append(f"gap_days = {schema.gap_days!r}  # after so many an outcome is known")
    lines += [
        f"leaks = {_listed(schema.leaks)}  # columns known only after the outcome",
        f"ignored = {_listed(schema.ignored)}  # columns that no model needs",
    ]
    for field in schema.fields:
        lines += ["", f"[fields.{_key(field.name)}]", f"type = {_quoted(field.kind)}"]
        for key, bound in (("least", field.least), ("most", field.most)):
            if bound is not None:
                lines.append(f"{key} = {as_text(bound) if field.kind == 'date' else repr(bound)}")
        if field.whole:
            lines.append("whole = true")
        if field.values is not None:
            lines.append(f"values = {_listed(field.values)}")
        if field.as_of is not None:
            lines.append(f"as_of = {_quoted(field.as_of)}")
    return "\n".join([*lines, ""])


_IDENTIFIER = "names a row"


def _unused(column: str, present: Sequence[str], rows: int) -> str:
    """Why a model cannot learn from a column, or nothing."""
    distinct = len(set(present))
    if not present:
        return "is empty"
    if distinct == 1 and len(present) == rows:
        return f"is {present[0][:40]!r} in every row"
    if distinct == rows and _counts_rows(present):
        return "counts the rows"
    if distinct == rows and rows > _FEW and _KEY.search(column):
        return _IDENTIFIER
    if _all_numbers(present):
        return ""
    if _like_dates(present):
        return ""
    if sum(map(len, present)) > _LONG * len(present):
        return 'holds long texts; describe it as type = "text" to learn from its words'
    if distinct > _FEW and distinct > _NAME_LIKE * len(present) and not _damaged(present):
        return f"has {distinct} different texts in {len(present)} rows"
    return ""


def _kind(column: pd.Series, present: Sequence[str]) -> str:
    """The kind of a field. Raises `TrimaranError` for a column that is damaged."""
    if _is_number(column, present):
        return "number"
    return "date" if _is_date(column, present) else "category"


def _is_number(column: pd.Series, present: Sequence[str]) -> bool:
    if pd.api.types.is_bool_dtype(column.dtype):
        return False
    if _all_numbers(present):
        return True
    for bad in _damaged(present):
        where = _where(column, bad)
        if _DECIMAL_COMMA.fullmatch(bad):
            raise TrimaranError(f"{where} has a decimal comma; write numbers as 1234.5")
        raise TrimaranError(
            f"{where} is no number, and most cells of the column are; correct or empty it, or make "
            "the column a category in a schema"
        )
    return False


def _is_date(column: pd.Series, present: Sequence[str]) -> bool:
    if not _like_dates(present):
        return False
    for bad in present:
        if _OTHER_DATE.fullmatch(bad):
            raise TrimaranError(
                f"{_where(column, bad)} does not say which is the day and which the month; write "
                "dates as 2026-01-31"
            )
        if not _dated(bad):
            raise TrimaranError(
                f"{_where(column, bad)} is no date, and most cells of the column are; write dates "
                "as 2026-01-31, or make the column a category in a schema"
            )
    return True


def _where(column: pd.Series, bad: str) -> str:
    place = next(place for place, cell in column.items() if text_of(cell) == bad)
    return f"{column.index.name or 'row'} {place}, column {column.name!r}: {bad[:40]!r}"


def _like_dates(present: Sequence[str]) -> bool:
    """Whether most cells are dates, in whatever form."""
    found = sum(_dated(text) or bool(_OTHER_DATE.fullmatch(text)) for text in present)
    return found >= _MOSTLY * len(present)


def _dated(text: str) -> bool:
    try:
        days_of(text)
    except ValueError:
        return False
    return True


def _damaged(present: Sequence[str]) -> list[str]:
    """The cells that are no number in a column where most are, or all are but for their commas."""
    others = [text for text in present if not _all_numbers([text])]
    commas = [text for text in others if _DECIMAL_COMMA.fullmatch(text)]
    few = len(others) <= (1 - _MOSTLY) * len(present)
    return others if few or len(commas) == len(others) else []


def _all_numbers(present: Sequence[str]) -> bool:
    return all(number_in(text, FLOAT32_MAX) is not None for text in present)


def _counts_rows(present: Sequence[str]) -> bool:
    first = number_in(present[0], FLOAT32_MAX)
    if first not in (0, 1):
        return False
    return all(number_in(text, FLOAT32_MAX) == first + at for at, text in enumerate(present))


def _quoted(text: str) -> str:
    """A basic string of TOML, which JSON's is but for one character."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _quoted(name)


def _listed(texts: Sequence[str]) -> str:
    return f"[{', '.join(map(_quoted, texts))}]"
