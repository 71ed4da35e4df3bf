"""A thread writes answers to files, so that no answer waits for a disk.

Where the thread does not keep up, or the disk is full, predictions are dropped and counted.

One file grows until it is large, then another; the oldest are removed when all are too large. Each
process writes only its own files, so no two write to one and none is renamed. A file's name begins
with the time of its first line, so names sort by age.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from trimaran.served.prediction_line import TRIAL, Answered

__all__ = ["SUFFIX", "PredictionFiles", "PredictionLog", "Written"]

SUFFIX = ".jsonl"

_FILES = 16
"""Files that share the limit for all: each takes a sixteenth at most."""

_INTERVAL_S = 0.05
"""Writing is frequent and short, so that no answer waits long for the interpreter."""

_REPORT_INTERVAL_S = 2.0
"""Each report to Triton stops the interpreter for a while."""

_MOST_WAITING = 50_000
"""Rows. With more than that the thread does not keep up."""

_PIECE = 16
"""Rows that are written at once. Only writing releases the interpreter to the thread that answers,
which waits a few microseconds for each of these rows."""

_CLOSE_S = 5.0


@dataclass(frozen=True)
class Written:
    """Rows since the last report."""

    logged: int
    dropped_queue: int
    """The thread did not keep up."""
    dropped_disk: int
    """The file could not be written."""
    dropped_record: int = 0
    """The record, or its request's id, cannot be written as a line."""
    error: Exception | None = None
    """The last error of a file."""


class PredictionLog:
    """A queue, and the thread that empties it."""

    def __init__(
        self,
        files: PredictionFiles,
        lines: Callable[[Answered], Iterable[bytes]],
        report: Callable[[Written], None],
        most_waiting: int = _MOST_WAITING,
    ) -> None:
        self._files = files
        self._lines = lines
        self._report = report
        self._most_waiting = most_waiting
        self._queue: deque[Answered] = deque()
        # No lock: the thread that answers alone writes the first three, the other thread the rest.
        self._added = self._dropped = self._refused = 0
        self._taken = self._reported_dropped = self._reported_refused = 0
        self._logged = self._failed = self._unwritable = 0
        self._error: Exception | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._write_regularly, daemon=True)
        self._thread.start()

    def add(self, answered: Answered) -> None:
        """Queue a request's rows for writing; they are dropped where too many wait already.

        Nothing is done for a request that tries a release.
        """
        if answered.request_id == TRIAL:
            return
        rows = answered.rows
        if self._added - self._taken + rows > self._most_waiting:
            self._dropped += rows
            return
        self._added += rows
        self._queue.append(answered)

    def drop(self, rows: int) -> None:
        """Count rows that cannot be logged."""
        self._refused += rows

    def close(self) -> None:
        """Write the waiting rows, for at most five seconds."""
        self._ended.set()
        self._thread.join(_CLOSE_S)

    def _write_regularly(self) -> None:
        reported_s = time.monotonic()
        while not self._ended.wait(_INTERVAL_S):
            self._write()
            if time.monotonic() - reported_s >= _REPORT_INTERVAL_S:
                self._report_all()
                reported_s = time.monotonic()
        self._write()
        self._report_all()
        self._files.close()

    def _write(self) -> None:
        lines = self._waiting()
        while piece := list(islice(lines, _PIECE)):
            unwritable = piece.count(b"")
            self._unwritable += unwritable
            rows = len(piece) - unwritable
            try:
                self._files.write(b"".join(piece))
                self._logged += rows
            except Exception as error:  # the thread must go on, whatever it was
                self._failed, self._error = self._failed + rows, error

    def _report_all(self) -> None:
        dropped, refused = self._dropped, self._refused
        found = Written(
            self._logged,
            dropped - self._reported_dropped,
            self._failed,
            refused - self._reported_refused + self._unwritable,
            self._error,
        )
        self._reported_dropped, self._reported_refused = dropped, refused
        self._logged, self._failed, self._unwritable, self._error = 0, 0, 0, None
        if found != Written(0, 0, 0):
            with suppress(Exception):  # a count that Triton does not take must not end the thread
                self._report(found)

    def _waiting(self) -> Iterator[bytes]:
        """The lines of the requests that wait now."""
        for _ in range(len(self._queue)):
            answered = self._queue.popleft()
            rest = answered.rows
            self._taken += rest
            try:
                for line in self._lines(answered):
                    rest -= 1
                    yield line
            except OSError as error:  # the key cannot be made
                self._failed, self._error = self._failed + rest, error
            except Exception:  # the thread must go on, whatever it was
                self._unwritable += rest


class PredictionFiles:
    """The files of one process in a directory. Those of all processes stay below `most_bytes`."""

    def __init__(self, directory: Path, most_bytes: int) -> None:
        self._directory = directory
        self._most_bytes = most_bytes
        self._path: Path | None = None
        self._file = -1
        self._written = 0

    def write(self, lines: bytes) -> None:
        """Append lines. Raises `OSError`, and then none of them is in the file.

        If the file was removed, another one is begun.
        """
        full = self._written >= self._most_bytes // _FILES
        if self._file < 0 or full or not os.fstat(self._file).st_nlink:
            self._begin()
        try:
            rest = memoryview(lines)
            while rest:
                rest = rest[os.write(self._file, rest) :]
        except OSError:
            os.ftruncate(self._file, self._written)
            raise
        self._written += len(lines)

    def close(self) -> None:
        """End the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _begin(self) -> None:
        self.close()
        began = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")
        self._path = self._directory / f"{began}-{os.getpid()}{SUFFIX}"
        self._written = 0
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        self._file = os.open(self._path, flags, 0o600)
        self._remove_oldest()

    def _remove_oldest(self) -> None:
        """Remove files until there is room for one more."""
        files = sorted(self._directory.glob(f"*{SUFFIX}"))
        sizes = {}
        for path in files:
            with suppress(FileNotFoundError):  # another process removes them too
                sizes[path] = path.stat().st_size
        taken = sum(sizes.values()) + self._most_bytes // _FILES
        for path, size in sizes.items():
            if taken <= self._most_bytes:
                return
            if path != self._path:
                path.unlink(missing_ok=True)
                taken -= size
