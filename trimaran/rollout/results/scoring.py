"""New rows scored by the live run, and added to a table of the database of results.

Each row is there once for each run that scored it, by its identifier. So the same command adds what
is new, also after an interruption: a part of the rows is written in one transaction.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from trimaran.repository.repository import Repository
from trimaran.rollout.results.database import Database, DatabaseError, Session, quoted
from trimaran.rollout.results.delivery import moment
from trimaran.rollout.results.explaining import Explainer
from trimaran.rollout.results.explanations import Explanation, in_words
from trimaran.rollout.results.predictions import Prediction, prediction_of
from trimaran.rollout.results.schema import migrate
from trimaran.rollout.runs.decisions import ledger_of, runs_in
from trimaran.rollout.runs.run import Run, live_run
from trimaran.rollout.runs.settings import Results
from trimaran.rollout.runs.training import estimator_of
from trimaran.system.errors import TrimaranError, UsageError
from trimaran.training.progress import Watch
from trimaran.training.tabular.data.reading import Source
from trimaran.training.tabular.data.sources import Dataset
from trimaran.training.tabular.runs.frozen import frozen_table, predictions_of
from trimaran.training.tabular.runs.trained import TrainedRun

__all__ = ["ROWS_AT_ONCE", "Scored", "live_estimator", "score", "table_named"]

_TABLE = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_OURS = ("trimaran_", "sqlite_", "pg_")
ROWS_AT_ONCE = 5000
"""That are written in one transaction."""


@dataclass(frozen=True)
class Scored:
    """What was added."""

    run: Run
    rows: int
    """Of the source."""
    added: int
    explained: int


def table_named(name: str) -> str:
    """`name`, if a table of scores can have it. Raises `UsageError`."""
    if not _TABLE.fullmatch(name) or name.startswith(_OURS):
        raise UsageError(
            f"{name!r} cannot name a table of scores; use lower-case letters, digits and '_', at "
            f"most 63, and none of {', '.join(_OURS)} at the beginning"
        )
    return name


def live_estimator(repository: Repository, name: str) -> tuple[Run, TrainedRun]:
    """The live run of a name, and what it predicts with. Raises `TrimaranError`."""
    run = live_run(runs_in(repository, ledger_of(repository).entries()), name)
    if run is None:
        raise TrimaranError(
            f"no run of {name} is live; see 'trimaran runs {name}', and deploy one with "
            f"'trimaran deploy {name}/N'"
        )
    return run, estimator_of(repository, run)


def score(
    repository: Repository,
    results: Results,
    database: Database,
    name: str,
    source: Source,
    table: str,
    watch: Watch = lambda what, done, total: None,
) -> Scored:
    """Score the rows of a source that the live run has not scored yet, and add them to a table.

    `watch` is called with how many new rows are written, and of how many. Raises `TrimaranError`
    for rows that cannot be used, and then nothing is added; `DatabaseError` where the database
    stops taking them, and then those so far are there.
    """
    table_named(table)
    run, estimator = live_estimator(repository, name)
    dataset = frozen_table(estimator, source, Path(source.place).parent)
    identifiers = _identifiers(dataset)
    with database.writing() as session:
        migrate(session, database)
        _make(session, database, table)
        known = f"SELECT identifier FROM {quoted(table)} WHERE run = ?"  # noqa: S608
        standing = {row[0] for row in session.rows(known, run.id)}
    fresh = np.flatnonzero(~identifiers.isin(standing).to_numpy())
    rows = dataset.frame.iloc[fresh].reset_index(drop=True)
    new = Dataset(rows, dataset.schema, dataset.source)
    found = _predictions(estimator, new) if len(fresh) else []
    explainer = Explainer.of(estimator) if len(fresh) else None
    explained = min(len(found), results.explained_rows) if explainer else 0
    for first in range(0, len(found), ROWS_AT_ONCE):
        last = min(first + ROWS_AT_ONCE, len(found))
        part = rows.iloc[first : min(last, explained)]
        why = explainer.explain(part, results.features) if explainer else []
        try:
            with database.writing() as session:
                _add(session, table, run, found[first:last], why)
        except DatabaseError as error:
            raise DatabaseError(
                f"{error}; {first:,} of {len(found):,} new rows are there, and the same command "
                "adds the others"
            ) from None
        watch("scoring", last, len(found))
    return Scored(run, len(identifiers), len(found), explained)


def _identifiers(dataset: Dataset) -> pd.Series:
    schema = dataset.schema
    if schema.identifier is None:
        raise TrimaranError(
            f"the table that {schema.name} was trained on has no identifier, by which a row is "
            "known again; name one in its schema, and train again"
        )
    found = dataset.frame[schema.identifier]
    missing = np.flatnonzero(found.isna())
    if len(missing):
        raise TrimaranError(
            f"{dataset.source}: {len(missing)} rows have no {schema.identifier!r}, the first is "
            f"row {missing[0] + 1}; give each row one"
        )
    twice = found[found.duplicated()]
    if len(twice):
        places = np.flatnonzero(found == twice.iloc[0]) + 1
        raise TrimaranError(
            f"{dataset.source}: rows {places[0]} and {places[1]} have the same "
            f"{schema.identifier!r}, {str(twice.iloc[0])[:60]!r}; keep one of them"
        )
    return found


def _predictions(run: TrainedRun, dataset: Dataset) -> list[Prediction]:
    """What the run says of each row. Raises `TrimaranError` for one that it cannot take."""
    schema = dataset.schema
    found = predictions_of(run, dataset)
    columns = dict(schema.task.columns(np.zeros(len(found), np.int64), found))
    del columns["target"]  # which is not known
    columns["identifier"] = dataset.frame[schema.identifier].tolist()
    threshold = float(run.metrics().get("threshold", 0.5))
    rows = (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))
    answered = (prediction_of(number, row, threshold) for number, row in enumerate(rows))
    return [each for each in answered if each is not None]


def _make(session: Session, database: Database, table: str) -> None:
    """Make a table of scores. Raises `DatabaseError` for one that is not of scores."""
    if session.rows("SELECT 1 FROM trimaran_tables WHERE name = ?", table):
        return
    if session.has(table):
        raise DatabaseError(
            f"{table} in {database.shown} was not made by 'trimaran score', and stays as it is; "
            "name another table"
        )
    session.run(
        f"CREATE TABLE {quoted(table)} (identifier TEXT NOT NULL, run TEXT NOT NULL, "
        "release BIGINT, answer TEXT NOT NULL, score DOUBLE PRECISION NOT NULL, "
        "probabilities JSONB, baseline DOUBLE PRECISION, reasons TEXT, "
        "scored_at TIMESTAMPTZ NOT NULL, PRIMARY KEY (identifier, run))"
    )
    session.run("INSERT INTO trimaran_tables VALUES (?)", table)


def _add(
    session: Session, table: str, run: Run, part: Sequence[Prediction], why: Sequence[Explanation]
) -> None:
    """Add rows, the first of them with reasons; one that another process added stays."""
    now = moment()
    reasons: list[tuple[float | None, str | None]] = [
        (each.baseline, in_words(each)) for each in why
    ]
    reasons += [(None, None)] * (len(part) - len(why))
    session.many(
        f"INSERT INTO {quoted(table)} VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) "  # noqa: S608
        "ON CONFLICT DO NOTHING",
        [
            (
                *(each.identifier, run.id, run.release, each.answer, each.score),
                *(each.probabilities, *reason, now),
            )
            for each, reason in zip(part, reasons, strict=True)
        ],
    )
