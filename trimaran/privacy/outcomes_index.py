"""The index of outcomes over a prediction log, which a feedback model may be writing now."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from trimaran.privacy.masks import prediction_mask
from trimaran.privacy.place import Found
from trimaran.privacy.writable import open_writable, require_writable
from trimaran.served.outcomes import INDEX
from trimaran.system.errors import TrimaranError

__all__ = ["OutcomesIndex"]

_WAIT_S = 30.0
"""For a feedback model that is writing."""
_KNOWN = "SELECT count(*) FROM sqlite_master WHERE name = 'predictions'"
_THEIRS = """
SELECT rowid FROM predictions WHERE id IN (:id, :masked)
UNION SELECT rowid FROM predictions WHERE request = :id
UNION SELECT rowid FROM predictions WHERE request > :id || '/' AND request < :id || '/:'
    AND substr(request, length(:id) + 2) NOT GLOB '*[^0-9]*'
"""
"""Rows of an identifier, of a request, and of each row of a request: `request/0`, `request/1`."""


@dataclass(frozen=True)
class OutcomesIndex:
    """The index in the directory of a prediction log. Its totals name nobody, and stay."""

    name: str
    directory: Path
    unit: str = "row"

    def find(self, ids: Sequence[str]) -> Found:
        """The predictions of the ids, with their outcomes."""
        if (file := open_writable(self._path)) is None:
            return Found()
        file.close()
        require_writable(self.directory)
        with self._opened() as database:
            return Found({each: len(rows) for each, rows in self._theirs(database, ids)})

    def remove(self, ids: Sequence[str]) -> Found:
        """Delete them, and write over the pages that held them; all or none."""
        if not self._path.exists():
            return Found()
        counts = {}
        with self._opened() as database:
            database.execute("PRAGMA secure_delete = ON")
            with database:
                database.execute("BEGIN IMMEDIATE")
                for each, rows in self._theirs(database, ids):
                    database.executemany("DELETE FROM predictions WHERE rowid = ?", rows)
                    counts[each] = len(rows)
            (busy, _, _) = database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if busy:
                raise sqlite3.OperationalError("it is in use")
        return Found(counts)

    @property
    def _path(self) -> Path:
        return self.directory / INDEX

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        place = f"{self._path.absolute().as_uri()}?mode=rw"
        try:
            with closing(sqlite3.connect(place, timeout=_WAIT_S, uri=True)) as database:
                yield database
        except sqlite3.Error as error:
            raise TrimaranError(
                f"{self._path} cannot be changed ({error}); make room on its disk, or mend the "
                "file if it is damaged, and run the command again, which removes the rest"
            ) from error

    def _theirs(
        self, database: sqlite3.Connection, ids: Sequence[str]
    ) -> Iterator[tuple[str, list[tuple[int]]]]:
        """The rows of each id that has some."""
        if not database.execute(_KNOWN).fetchone()[0]:  # nothing was predicted yet
            return
        mask = prediction_mask(self.directory)
        for each in ids:
            forms = {"id": each, "masked": mask(each) if mask else each}
            if rows := database.execute(_THEIRS, forms).fetchall():
                yield each, rows
