"""Files of lines: one grows until it is large, then another; the oldest go when all are too large.

Each process writes files of its own, so no two write to one and none is renamed. A file's name
begins with the time that it was begun at, so names sort by age.

Self-contained: this file is copied into the versions of the models that log.
"""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

__all__ = ["SUFFIX", "PredictionFiles"]

SUFFIX = ".jsonl"
_FILES = 16
"""A file is so small a part of what all may take."""


class PredictionFiles:
    """The files of one process in a directory; all processes' together stay below `most_bytes`."""

    def __init__(self, directory: Path, most_bytes: int) -> None:
        self._directory = directory
        self._most_bytes = most_bytes
        self._path: Path | None = None
        self._file = -1
        self._written = 0

    def write(self, lines: bytes) -> None:
        """Append whole lines, all of them or, raising `OSError`, none.

        A file that somebody removed is followed by another.
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
        """Until a whole file more has room."""
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
