"""Each request's exact times, kept beside Locust's rounded ones.

A process appends to a file of its own, so that what was measured outlives a killed process. Times
are of the machine's monotonic clock, which all its processes share.
"""

from __future__ import annotations

import os
from array import array
from dataclasses import dataclass
from pathlib import Path

import numpy as np

__all__ = ["Record", "Recorder", "read_records"]

_SUFFIX = ".requests"
_COLUMNS = 3


@dataclass(frozen=True)
class Record:
    """Requests in the order of sending; arrays `[requests]`."""

    began_s: np.ndarray
    """On the monotonic clock."""
    latency_s: np.ndarray
    """Until the answer was whole, or until it was clear that none comes."""
    good: np.ndarray


class Recorder:
    """Takes requests one by one; without a `directory` it keeps them all in memory."""

    def __init__(self, directory: Path | None = None) -> None:
        self._rows = array("d")
        self._file = (directory / f"{os.getpid()}{_SUFFIX}").open("ab") if directory else None

    def add(self, began_s: float, latency_s: float, good: bool) -> None:
        """Keep one request."""
        self._rows.extend((began_s, latency_s, good))

    def flush(self) -> None:
        """Write down what was added since."""
        if self._file is not None:
            self._file.write(self._rows.tobytes())
            self._file.flush()
            self._rows = array("d")

    def close(self) -> None:
        """Write down the rest."""
        self.flush()
        if self._file is not None:
            self._file.close()
            self._file = None

    def record(self) -> Record:
        """What is in memory."""
        return _record(np.array(self._rows, np.float64))


def read_records(directory: Path) -> Record:
    """What all processes wrote into a directory, together."""
    parts = [np.fromfile(path, np.float64) for path in sorted(directory.glob(f"*{_SUFFIX}"))]
    whole = [part[: len(part) // _COLUMNS * _COLUMNS] for part in parts]
    return _record(np.concatenate(whole) if whole else np.empty(0))


def _record(values: np.ndarray) -> Record:
    rows = values.reshape(-1, _COLUMNS)
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    return Record(rows[:, 0], rows[:, 1], rows[:, 2] > 0)
