"""Ground truth joined to logged predictions, with the totals, in one SQLite file.

The file is an index over the log: it reads lines as they are written, and forgets the lines of
removed files. Totals stay.

| an outcome | status |
|---|---|
| of an id that was predicted | `counted`, for the newest prediction of each version |
| that was reported before | `known`, and is not counted again |
| that differs from the one reported before | `contradicts`, and the first one stays |
| of an id that is not in the log, or was predicted only later | `unknown` |

An outcome with a time belongs to the newest prediction before it, so an id may have several.
Without a time, an id has one outcome, for later predictions too.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from trimaran.served.judging import Judge, Stored
from trimaran.served.prediction_line import Keyed

__all__ = ["INDEX", "STATUSES", "Key", "Outcome", "Outcomes"]

STATUSES = ("counted", "known", "contradicts", "unknown")

INDEX = "outcomes.sqlite"
"""The file's name in the directory of a prediction log."""
_LINES = 5_000
"""Read in one transaction."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS files (name TEXT PRIMARY KEY, read_bytes INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS predictions (
    file TEXT NOT NULL, id TEXT, request TEXT, version TEXT NOT NULL, time REAL NOT NULL,
    probability REAL NOT NULL, decided INTEGER NOT NULL, outcome INTEGER, told TEXT
);
CREATE INDEX IF NOT EXISTS by_id ON predictions (id) WHERE id IS NOT NULL;
CREATE INDEX IF NOT EXISTS by_request ON predictions (request) WHERE request IS NOT NULL;
CREATE INDEX IF NOT EXISTS by_file ON predictions (file);
CREATE TABLE IF NOT EXISTS totals (
    version TEXT, name TEXT, place TEXT, value REAL NOT NULL, PRIMARY KEY (version, name, place)
);
"""
_ALONE = "BEGIN IMMEDIATE"
"""Begins a transaction whose reads no other process' writes can make old."""
_ADD = """
INSERT INTO totals VALUES (?, ?, ?, ?)
ON CONFLICT DO UPDATE SET value = value + excluded.value
"""
_FIND = """
SELECT rowid, version, time, probability, decided, outcome, told FROM predictions WHERE id IN (?, ?)
UNION
SELECT rowid, version, time, probability, decided, outcome, told FROM predictions WHERE request = ?
ORDER BY time DESC, rowid DESC
"""


@dataclass(frozen=True)
class Outcome:
    """The ground truth of an id."""

    name: str
    outcome: Stored
    """As `Judge.outcome` gives it."""
    time_s: float | None = None
    """When it was known, since the epoch."""

    @property
    def known_at(self) -> str:
        """Distinguishes this outcome of an id from another one."""
        return "" if self.time_s is None else repr(self.time_s)


@dataclass(frozen=True)
class _Prediction:
    row: int
    version: str
    time_s: float
    probability: float
    decided: Stored
    outcome: Stored | None
    known_at: str | None


Key = tuple[str, str, str]
"""Version, name and place of a total."""


class Outcomes:
    """The outcomes of one model, by its task's judge.

    Threads may share it. Several processes, such as servers on one repository, may use the same
    directory: each line is read once, and each outcome counted once.

    Raises `OSError` where the directory is not there, and `sqlite3.Error` where the file cannot be
    written; nothing is counted then.
    """

    def __init__(self, directory: Path, judge: Judge) -> None:
        self._directory = directory
        self._judge = judge
        self._keyed = Keyed.of(directory)
        self._lock = threading.Lock()
        path = directory / INDEX
        path.touch(mode=0o600)
        self._database = sqlite3.connect(path, timeout=10, check_same_thread=False)
        self._database.executescript(f"PRAGMA journal_mode = WAL; {_SCHEMA}")

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def read_log(self) -> None:
        """Read the new lines of the log, and forget the lines of removed files."""
        with self._lock:
            # First, so that what another process reads meanwhile is not taken for removed.
            read = dict(self._database.execute("SELECT name, read_bytes FROM files"))
            files = {path.name: path for path in sorted(self._directory.glob("*.jsonl"))}
            for name in read.keys() - files.keys():
                with self._database as database:
                    database.execute("DELETE FROM predictions WHERE file = ?", (name,))
                    database.execute("DELETE FROM files WHERE name = ?", (name,))
            for name, path in files.items():
                self._read_file(path, read.get(name, 0))

    def record(self, outcomes: Iterable[Outcome]) -> list[str]:
        """Join outcomes to predictions, in order; one of `STATUSES` for each. All or none."""
        with self._lock, self._database as database:
            database.execute(_ALONE)
            return [self._record(outcome) for outcome in outcomes]

    def totals(self) -> dict[Key, float]:
        """Everything counted so far, also by earlier processes.

        | name | place | what |
        |---|---|---|
        | `outcomes` | a cell of `judging` | outcomes by what was predicted |
        | `positives`, `probability` | a bin | of those in the bin: the positive ones, the sum |
        | `squared_error` | | of the probability, the sum |

        The last two are of binary tasks.
        """
        with self._lock:
            rows = self._database.execute("SELECT version, name, place, value FROM totals")
            return {(version, name, place): value for version, name, place, value in rows}

    def _read_file(self, path: Path, start: int) -> None:
        while (end := self._read_some(path, start)) > start:
            start = end

    def _read_some(self, path: Path, start: int) -> int:
        """Read the next lines of a file of which `start` bytes are read; how many are read then.

        They are read while nobody else may write to the index. So lines that are erased from the
        log before they are deleted from the index do not come back, and those that another process
        has read meanwhile are not read again.
        """
        if _size(path) <= start:
            return start
        name = path.name
        with self._database as database:
            database.execute(_ALONE)
            reached = self._reached(name)
            lines = _whole_lines(path, reached)
            end = reached + sum(map(len, lines))
            rows = [row for line in lines for row in self._row(name, line)]
            database.executemany(
                "INSERT INTO predictions VALUES (?, ?, ?, ?, ?, ?, ?, NULL, NULL)",
                [row for row in rows if row[1] or row[2]],  # no other is ever asked for
            )
            database.execute("INSERT OR REPLACE INTO files VALUES (?, ?)", (name, end))
            for version in {row[3] for row in rows}:
                zeros = [(version, *each, 0.0) for each in self._judge.totals()]
                database.executemany(_ADD, zeros)
        return end

    def _reached(self, file: str) -> int:
        """How many bytes of a file are read."""
        query = "SELECT read_bytes FROM files WHERE name = ?"
        return next((count for (count,) in self._database.execute(query, (file,))), 0)

    def _row(self, file: str, line: bytes) -> Iterator[tuple[Any, ...]]:
        """A line of the log as a row, unless it is damaged."""
        try:
            found = orjson.loads(line)
            request = found.get("request_id")
            if request and "row" in found:
                request = f"{request}/{found['row']}"
            output = found["output"]
            yield (
                file,
                found["id"] or None,
                request,
                found["version"],
                datetime.fromisoformat(found["time"]).timestamp(),
                *self._judge.prediction(output),
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            return

    def _record(self, outcome: Outcome) -> str:
        found = self._predictions(outcome)
        for prediction in found:
            if prediction.known_at == outcome.known_at:
                return "known" if prediction.outcome == outcome.outcome else "contradicts"
        newest: dict[str, _Prediction] = {}
        for prediction in found:
            if outcome.time_s is None or prediction.time_s <= outcome.time_s:
                newest.setdefault(prediction.version, prediction)
        if not newest:
            return "unknown"
        fresh = [prediction for prediction in newest.values() if prediction.outcome is None]
        if not fresh:
            same = all(each.outcome == outcome.outcome for each in newest.values())
            return "known" if same else "contradicts"
        for prediction in fresh:
            self._database.execute(
                "UPDATE predictions SET outcome = ?, told = ? WHERE rowid = ?",
                (outcome.outcome, outcome.known_at, prediction.row),
            )
            counts = self._judge.counts(prediction.probability, prediction.decided, outcome.outcome)
            self._database.executemany(
                _ADD, [(prediction.version, *key, value) for key, value in counts]
            )
        return "counted"

    def _predictions(self, outcome: Outcome) -> list[_Prediction]:
        """The predictions with the outcome's id, newest first."""
        masked = self._keyed.masked(outcome.name)
        rows = self._database.execute(_FIND, (outcome.name, masked, outcome.name))
        return [
            _Prediction(row, version, time_s, probability, decided, true, known_at)
            for row, version, time_s, probability, decided, true, known_at in rows
        ]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _whole_lines(path: Path, start: int) -> list[bytes]:
    """The next complete lines; the last one may still be half written."""
    lines: list[bytes] = []
    with suppress(FileNotFoundError), path.open("rb") as file:
        file.seek(start)
        for line in file:
            if not line.endswith(b"\n") or len(lines) == _LINES:
                break
            lines.append(line)
    return lines
