"""A database of results: a file of SQLite, or PostgreSQL by its address.

    with database.writing() as session:
        session.run("DELETE FROM trimaran_predictions WHERE run = ?", "churn/1")

All of the block happens, or nothing; and only one process of all is in such a block. SQL is what
both databases understand, and `?` marks a parameter.
"""

from __future__ import annotations

import os
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from trimaran.repository.repository import Repository
from trimaran.rollout.runs.settings import Settings
from trimaran.system.errors import TrimaranError, UsageError
from trimaran.system.extras import imported
from trimaran.system.postgresql import (
    connect_postgresql,
    is_address,
    said_without_password,
    shown,
)

__all__ = [
    "ADDRESS",
    "Database",
    "DatabaseError",
    "Session",
    "database_of",
    "open_database",
    "quoted",
]

ADDRESS = "TRIMARAN_RESULTS"
"""The environment variable with the database, so that a password needs no file."""

_FILE = "results.db"
_WAIT_S = 30
_LOCK = 7_318_226_101
"""The number of the advisory lock that a writer to PostgreSQL holds."""

Row = Sequence[Any]


class DatabaseError(TrimaranError):
    """The database cannot be reached, or refuses; nothing of what was asked was done."""


def quoted(name: str) -> str:
    """A name as an identifier of SQL, whatever it holds."""
    return '"' + name.replace('"', '""') + '"'


class Session(ABC):
    """SQL in one transaction."""

    @abstractmethod
    def rows(self, sql: str, *parameters: Any) -> list[Row]:
        """What a query finds."""

    @abstractmethod
    def run(self, sql: str, *parameters: Any) -> None:
        """Run a statement."""

    @abstractmethod
    def many(self, sql: str, rows: Iterable[Row]) -> None:
        """Run a statement for each row of parameters."""

    @abstractmethod
    def has(self, name: str) -> bool:
        """Whether there is a table or a view of this name."""


class Database(ABC):
    """Where results are. `shown` names it for people, without a password."""

    shown: str

    @abstractmethod
    def writing(self) -> Any:
        """A context with a `Session`, whose changes are kept where the block ends without error.

        Raises `DatabaseError`.
        """

    @abstractmethod
    def exists(self) -> bool:
        """Whether something was, or may have been, written to it."""

    @abstractmethod
    def table(self, name: str) -> tuple[str, str]:
        """Its address or file, and a query of all that one of its tables holds."""


def database_of(repository: Repository, settings: Settings) -> Database:
    """Where results go: as the environment, or `rollout.toml`, or a file beside the ledgers."""
    named = os.environ.get(ADDRESS) or settings.results.database
    return open_database(named or os.path.relpath(repository.state / _FILE))


def open_database(place: str) -> Database:
    """The database at an address of PostgreSQL, or in a file of SQLite.

    Nothing is connected or made yet. Raises `UsageError` for another kind of address.
    """
    if is_address(place):
        return _PostgreSQL(place)
    if "://" in place:
        raise UsageError(
            f"results cannot be kept in {place.partition('://')[0]}; name a file of SQLite, or "
            "postgresql://USER@HOST/DATABASE"
        )
    return _SQLite(Path(place))


class _SQLite(Database):
    def __init__(self, path: Path) -> None:
        self._path = path
        self.shown = str(path)

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """See `Database`."""
        try:
            self._make()
            with closing(
                sqlite3.connect(self._path, timeout=_WAIT_S, isolation_level=None)
            ) as connection:
                connection.execute("PRAGMA secure_delete = ON")
                connection.execute("BEGIN IMMEDIATE")
                yield _SQLiteSession(connection)
                connection.execute("COMMIT")  # without it, closing takes everything back
        except (sqlite3.Error, OSError) as error:
            said = getattr(error, "strerror", None) or str(error)
            raise _refused(self.shown, said) from None

    def exists(self) -> bool:
        """See `Database`."""
        return self._path.exists()

    def table(self, name: str) -> tuple[str, str]:
        """See `Database`."""
        return str(self._path), f"SELECT * FROM {quoted(name)}"  # noqa: S608

    def _make(self) -> None:
        """Make the file for its owner only, as it has identifiers of people."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))


class _SQLiteSession(Session):
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def rows(self, sql: str, *parameters: Any) -> list[Row]:
        return self._connection.execute(sql, parameters).fetchall()

    def run(self, sql: str, *parameters: Any) -> None:
        self._connection.execute(sql, parameters)

    def many(self, sql: str, rows: Iterable[Row]) -> None:
        self._connection.executemany(sql, rows)

    def has(self, name: str) -> bool:
        found = "SELECT 1 FROM sqlite_master WHERE type IN ('table', 'view') AND name = ?"
        return bool(self.rows(found, name))


class _PostgreSQL(Database):
    def __init__(self, address: str) -> None:
        self._address = address
        self.shown = shown(address)

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """See `Database`."""
        psycopg = imported("psycopg", self.shown)
        try:
            connection = connect_postgresql(self._address, application_name="trimaran")
            with closing(connection):
                connection.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
                yield _PostgreSQLSession(connection)
                connection.commit()
        except psycopg.Error as error:
            raise _refused(self.shown, said_without_password(self._address, error)) from None

    def exists(self) -> bool:
        """See `Database`."""
        return True

    def table(self, name: str) -> tuple[str, str]:
        """See `Database`."""
        return self._address, f"SELECT * FROM {quoted(name)}"  # noqa: S608


class _PostgreSQLSession(Session):
    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def rows(self, sql: str, *parameters: Any) -> list[Row]:
        found: list[Row] = self._connection.execute(_marked(sql), parameters).fetchall()
        return found

    def run(self, sql: str, *parameters: Any) -> None:
        self._connection.execute(_marked(sql), parameters)

    def many(self, sql: str, rows: Iterable[Row]) -> None:
        with self._connection.cursor() as cursor:
            cursor.executemany(_marked(sql), rows)

    def has(self, name: str) -> bool:
        return self.rows("SELECT to_regclass(?)", quoted(name))[0][0] is not None


def _marked(sql: str) -> str:
    """SQL with psycopg's marks of parameters."""
    return sql.replace("%", "%%").replace("?", "%s")


def _refused(place: str, said: str) -> DatabaseError:
    line = next((line.strip() for line in said.splitlines() if line.strip()), "it gave no reason")
    return DatabaseError(f"the results database {place} refused: {line}")
