"""The tables and views of a results database, and how older ones become today's.

| table | has a row for |
|---|---|
| `trimaran_schema` | the version of these tables, one row |
| `trimaran_runs` | each run whose results are here, and then all of them are |
| `trimaran_predictions` | each row of a run's data |
| `trimaran_reasons` | each field that moved the answer to an explained row most |
| `trimaran_live` | each name, with the run that is live |
| `trimaran_tables` | each table that `trimaran score` made |

The views of a name are `<name>_current`, and `<name>_current_reasons` with a row for each reason.
They show the run that `trimaran_live` names, so what is live changes and they do not.

A change of the tables is a new entry at the end of `MIGRATIONS`; what stands is never edited.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from trimaran.rollout.results.database import Database, DatabaseError, Session, quoted

__all__ = ["MIGRATIONS", "make_views", "migrate"]

MIGRATIONS: Sequence[Sequence[str]] = (
    (
        "CREATE TABLE trimaran_runs (run TEXT PRIMARY KEY, name TEXT NOT NULL, "
        "begun TIMESTAMPTZ NOT NULL, release BIGINT, task TEXT NOT NULL, "
        "predicted_at TIMESTAMPTZ NOT NULL, written_at TIMESTAMPTZ NOT NULL, "
        "predictions BIGINT NOT NULL, explained BIGINT NOT NULL)",
        "CREATE TABLE trimaran_predictions (run TEXT NOT NULL, row_number BIGINT NOT NULL, "
        "identifier TEXT, part TEXT, answer TEXT NOT NULL, score DOUBLE PRECISION NOT NULL, "
        "probabilities JSONB, outcome TEXT, baseline DOUBLE PRECISION, reasons TEXT, "
        "PRIMARY KEY (run, row_number))",
        "CREATE INDEX trimaran_predictions_identifier ON trimaran_predictions (identifier)",
        "CREATE TABLE trimaran_reasons (run TEXT NOT NULL, row_number BIGINT NOT NULL, "
        "place BIGINT NOT NULL, feature TEXT NOT NULL, value TEXT, "
        "contribution DOUBLE PRECISION NOT NULL, PRIMARY KEY (run, row_number, place))",
        "CREATE TABLE trimaran_live (name TEXT PRIMARY KEY, run TEXT)",
        "CREATE TABLE trimaran_tables (name TEXT PRIMARY KEY)",
    ),
)
"""What each version changed: the statements of version 1, then those of version 2, and so on."""

_VERSION = "trimaran_schema"
_LONGEST = 63
"""The bytes of a name in PostgreSQL, which cuts longer ones off."""
_CURRENT, _REASONS = "_current", "_current_reasons"


def migrate(
    session: Session, database: Database, migrations: Sequence[Sequence[str]] = MIGRATIONS
) -> None:
    """Bring the tables to the version of this program, in the transaction at hand.

    Raises `DatabaseError` for tables of a later version.
    """
    if not session.has(_VERSION):
        session.run(f"CREATE TABLE {_VERSION} (version BIGINT NOT NULL)")
        session.run(f"INSERT INTO {_VERSION} VALUES (0)")  # noqa: S608
    version = int(session.rows(f"SELECT version FROM {_VERSION}")[0][0])  # noqa: S608
    if version > len(migrations):
        raise DatabaseError(
            f"the results database {database.shown} has tables of version {version}, and this "
            f"program knows up to {len(migrations)}; use the later trimaran that wrote them"
        )
    for statements in migrations[version:]:
        for statement in statements:
            session.run(statement)
    if version < len(migrations):
        session.run(f"UPDATE {_VERSION} SET version = ?", len(migrations))  # noqa: S608


def make_views(session: Session, name: str) -> None:
    """Make the views of a name; one that stands under such a name is another's, and refused."""
    current, reasons = map(quoted, _view_names(name))
    of = "FROM trimaran_live l JOIN trimaran_runs r ON r.run = l.run "
    mine = f"WHERE l.name = '{name}'"  # a model's name has no quotes: `check_model_name`
    session.run(
        f"CREATE VIEW {current} AS SELECT p.identifier, p.answer, p.score, p.probabilities, "
        "p.baseline, p.reasons, p.outcome, p.part, p.row_number, r.run, r.release, r.predicted_at "
        f"{of}JOIN trimaran_predictions p ON p.run = r.run {mine}"
    )
    session.run(
        f"CREATE VIEW {reasons} AS SELECT p.identifier, w.place, w.feature, w.value, "
        "w.contribution, p.row_number, r.run "
        f"{of}JOIN trimaran_predictions p ON p.run = r.run "
        f"JOIN trimaran_reasons w ON w.run = p.run AND w.row_number = p.row_number {mine}"
    )


def _view_names(name: str) -> tuple[str, str]:
    """The views of a model's name: `churn_current`, and that of its reasons.

    A name that would be too long for PostgreSQL is cut, and has a digest of the whole in place of
    the rest.
    """
    if len(name) + len(_REASONS) > _LONGEST:
        digest = hashlib.sha256(name.encode()).hexdigest()[:8]
        name = f"{name[: _LONGEST - len(_REASONS) - len(digest) - 1]}_{digest}"
    return f"{name}{_CURRENT}", f"{name}{_REASONS}"
