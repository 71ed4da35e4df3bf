"""The rows of people in a database of results: how many there are, and removing them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from trimaran.rollout.results.database import Database, Session, quoted
from trimaran.rollout.results.schema import migrate

__all__ = ["remove_people", "rows_of_people"]

_PREDICTIONS = "trimaran_predictions"


def rows_of_people(database: Database, identifiers: Sequence[str]) -> dict[str, int]:
    """How many rows each identifier has, of those that have some. Raises `DatabaseError`."""
    return _counted(database, identifiers, remove=False)


def remove_people(database: Database, identifiers: Sequence[str]) -> dict[str, int]:
    """Remove their rows, all or none; what was removed. Raises `DatabaseError`."""
    return _counted(database, identifiers, remove=True)


def _counted(database: Database, identifiers: Sequence[str], *, remove: bool) -> dict[str, int]:
    if not database.exists():
        return {}
    with database.writing() as session:
        migrate(session, database)
        counts = {
            each: sum(_in_table(session, table, each, remove=remove) for table in _tables(session))
            for each in identifiers
        }
    return {each: count for each, count in counts.items() if count}


def _tables(session: Session) -> Iterator[str]:
    yield _PREDICTIONS
    for row in session.rows("SELECT name FROM trimaran_tables"):
        if session.has(row[0]):  # not removed by a person
            yield row[0]


def _in_table(session: Session, table: str, identifier: str, *, remove: bool) -> int:
    mine = f"FROM {quoted(table)} WHERE identifier = ?"
    count = int(session.rows(f"SELECT count(*) {mine}", identifier)[0][0])
    if count and remove:
        if table == _PREDICTIONS:
            session.run(
                "DELETE FROM trimaran_reasons WHERE EXISTS (SELECT 1 FROM trimaran_predictions p "
                "WHERE p.run = trimaran_reasons.run "
                "AND p.row_number = trimaran_reasons.row_number AND p.identifier = ?)",
                identifier,
            )
        session.run(f"DELETE {mine}", identifier)
    return count
