"""What was answered goes to a file from a thread of its own: an answer never waits for a disk.

Where the thread does not keep up, or the disk is full, predictions are dropped and counted.

Self-contained: this file is copied into the versions of the models that log.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prediction_files import PredictionFiles
    from prediction_line import Answered

__all__ = ["PredictionLog", "Written"]

_INTERVAL_S = 0.05
"""Often, and little at a time, so that nobody who is answered waits long for the interpreter."""

_TELL_INTERVAL_S = 2.0
"""Between two reports to Triton, which each stop the interpreter for a while."""
_MOST_WAITING = 50_000
"""Rows. Beyond that the thread does not keep up."""
_PIECE = 16
"""Rows that are written at once. Writing lets go of the interpreter, for the thread that answers;
until then that one waits, a few microseconds for each row."""
_CLOSE_S = 5.0


@dataclass(frozen=True)
class Written:
    """Rows since the last time this was told."""

    logged: int
    dropped_queue: int
    """The thread did not keep up."""
    dropped_disk: int
    """The file could not be written."""
    error: OSError | None = None
    """The last one of these."""


class PredictionLog:
    """A queue, and the thread that empties it."""

    def __init__(
        self,
        files: PredictionFiles,
        lines: Callable[[Answered], Iterable[bytes]],
        tell: Callable[[Written], None],
        most_waiting: int = _MOST_WAITING,
    ) -> None:
        self._files = files
        self._lines = lines
        self._tell = tell
        self._most_waiting = most_waiting
        self._queue: deque[Answered] = deque()
        # Without a lock: those are written by the thread that answers alone, these by the other.
        self._added = self._dropped = 0
        self._taken = self._told_dropped = self._logged = self._failed = 0
        self._error: OSError | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._write_regularly, daemon=True)
        self._thread.start()

    def add(self, answered: Answered) -> None:
        """Have a request's rows written soon, or drop them where too many wait already."""
        rows = len(answered.texts)
        if self._added - self._taken + rows > self._most_waiting:
            self._dropped += rows
            return
        self._added += rows
        self._queue.append(answered)

    def close(self) -> None:
        """Write what waits, for at most five seconds."""
        self._ended.set()
        self._thread.join(_CLOSE_S)

    def _write_regularly(self) -> None:
        told_s = time.monotonic()
        while not self._ended.wait(_INTERVAL_S):
            self._write()
            if time.monotonic() - told_s >= _TELL_INTERVAL_S:
                self._tell_of_all()
                told_s = time.monotonic()
        self._write()
        self._tell_of_all()
        self._files.close()

    def _write(self) -> None:
        lines = self._waiting()
        while piece := list(islice(lines, _PIECE)):
            try:
                self._files.write(b"".join(piece))
                self._logged += len(piece)
            except OSError as error:
                self._failed, self._error = self._failed + len(piece), error

    def _tell_of_all(self) -> None:
        dropped = self._dropped
        found = Written(self._logged, dropped - self._told_dropped, self._failed, self._error)
        self._told_dropped = dropped
        self._logged, self._failed, self._error = 0, 0, None
        if found != Written(0, 0, 0):
            self._tell(found)

    def _waiting(self) -> Iterator[bytes]:
        """The lines of the requests that wait now."""
        for _ in range(len(self._queue)):
            answered = self._queue.popleft()
            self._taken += len(answered.texts)
            try:
                yield from self._lines(answered)
            except OSError as error:
                self._failed, self._error = self._failed + len(answered.texts), error
