"""What was answered goes to a file from a thread of its own: an answer never waits for a disk.

Where the thread does not keep up, or the disk is full, predictions are dropped and counted.

Self-contained: this file is copied into the versions of the models that log.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prediction_files import PredictionFiles
    from prediction_line import Answered

__all__ = ["PredictionLog", "Written"]

_INTERVAL_S = 0.2
_MOST_WAITING = 50_000
"""Rows. Beyond that the thread does not keep up."""
_PIECE = 256
"""Rows that are written at once; between two pieces other threads have their turn."""
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
        self._taken = self._told_dropped = 0
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
        while not self._ended.wait(_INTERVAL_S):
            self._write()
        self._write()
        self._files.close()

    def _write(self) -> None:
        logged = failed = 0
        error = None
        for piece in self._pieces():
            rows = sum(len(answered.texts) for answered in piece)
            try:
                self._files.write(b"".join(chain.from_iterable(map(self._lines, piece))))
                logged += rows
            except OSError as found:
                error = found
                failed += rows
        dropped = self._dropped
        lost, self._told_dropped = dropped - self._told_dropped, dropped
        if logged or failed or lost:
            self._tell(Written(logged, lost, failed, error))

    def _pieces(self) -> Iterator[list[Answered]]:
        """The requests that wait now."""
        piece: list[Answered] = []
        rows = 0
        for _ in range(len(self._queue)):
            piece.append(self._queue.popleft())
            rows += len(piece[-1].texts)
            if rows >= _PIECE:
                self._taken += rows
                yield piece
                piece, rows = [], 0
        self._taken += rows
        if piece:
            yield piece
