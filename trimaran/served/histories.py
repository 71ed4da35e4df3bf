"""What users have chosen so far, as a version keeps it, and as a network takes it.

| file | holds |
|---|---|
| `users.txt` | the users' names, one a line |
| `history.npy` | items from 1, negative where not liked, of one user after another: int32 |
| `starts.npy` | where those of each user begin, and where the last ones end: int64 `[users + 1]` |
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

__all__ = ["MOST_NAME_BYTES", "USERS", "Histories", "padded_histories"]

MOST_NAME_BYTES = 1_000
"""Of a user's name, and of an item's."""

USERS, _HISTORY, _STARTS = "users.txt", "history.npy", "starts.npy"
_SHORTEST = 16
"""Few lengths, so that requests of users with unlike histories meet in one batch."""

Items = npt.NDArray[np.int64]


class Histories:
    """The history of each user, by name."""

    def __init__(self, users: Sequence[str], rows: npt.NDArray[np.int32], starts: Items) -> None:
        self.users = users
        self.rows = rows
        self.starts = starts
        self.places = {name: place for place, name in enumerate(users)}

    @classmethod
    def read(cls, directory: Path) -> Histories:
        """Those in a directory."""
        users = (directory / USERS).read_text(encoding="utf-8").removesuffix("\n").split("\n")
        rows, starts = (
            np.load(directory / name, allow_pickle=False) for name in (_HISTORY, _STARTS)
        )
        return cls(users, rows, starts)

    @property
    def longest(self) -> int:
        """The length to which the longest history is padded."""
        return _least_length(int(np.diff(self.starts).max()))

    def files(self) -> Mapping[str, bytes]:
        """The files to write, by name."""
        return {
            USERS: ("\n".join(self.users) + "\n").encode(),
            _HISTORY: _saved(self.rows.astype(np.int32)),
            _STARTS: _saved(self.starts.astype(np.int64)),
        }

    def of(self, user: str) -> npt.NDArray[np.int32] | None:
        """What a user has chosen, or None for a name that is not there."""
        place = self.places.get(user)
        if place is None:
            return None
        found: npt.NDArray[np.int32] = self.rows[self.starts[place] : self.starts[place + 1]]
        return found


def padded_histories(rows: Sequence[npt.NDArray[np.integer]]) -> Items:
    """Histories as int64 `[rows, length]`, padded with 0 to the least length that holds all."""
    array = np.zeros((len(rows), _least_length(max(map(len, rows), default=0))), np.int64)
    for place, row in enumerate(rows):
        array[place, : len(row)] = row
    return array


def _least_length(longest: int) -> int:
    """16, 32, 64 and so on: the first that is not shorter."""
    length = _SHORTEST
    while length < longest:
        length *= 2
    return length


def _saved(array: npt.NDArray[np.generic]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()
