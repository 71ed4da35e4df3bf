"""The parts by time: the last choices of each user are for the test, those before for validation.

Who has fewer than five rows is in the training part alone. A rating counts as a choice whether or
not the item was liked, and what is to be found in a part are its liked items.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trimaran.system.errors import TrimaranError
from trimaran.training.recommender.data import Choices, Flags

__all__ = ["Parts", "histories", "split", "wanted"]

_FEWEST_ROWS = 5
_VALIDATED, _TESTED = 0.1, 0.2
_FEWEST_USERS = 20

Histories = list[npt.NDArray[np.int64]]


@dataclass(frozen=True)
class Parts:
    """Which rows are in each part, bool `[rows]`; no row is in two of them."""

    train: Flags
    validation: Flags
    test: Flags

    def by_name(self) -> dict[str, Flags]:
        """The parts by name."""
        return {"train": self.train, "validation": self.validation, "test": self.test}


def split(data: Choices) -> Parts:
    """A fifth of each user's rows for the test, and a tenth before them; at least one row each.

    Raises `TrimaranError` where fewer than twenty users like something in a part.
    """
    starts = data.starts
    sizes = np.diff(starts)
    tested = np.where(sizes < _FEWEST_ROWS, 0, np.maximum(1, (_TESTED * sizes).astype(np.int64)))
    validated = np.where(
        sizes < _FEWEST_ROWS, 0, np.maximum(1, (_VALIDATED * sizes).astype(np.int64))
    )
    left = starts[1:][data.user] - np.arange(len(data.user))
    """How many rows of its user there are from a row on."""
    test = left <= tested[data.user]
    validation = ~test & (left <= (tested + validated)[data.user])
    for name, part in (("test", test), ("validation", validation)):
        users = len(np.unique(data.user[part & data.liked]))
        if users < _FEWEST_USERS:
            raise TrimaranError(
                f"{data.source} has {users} users with {_FEWEST_ROWS} rows or more and a liked item"
                f" in the {name} part; a recommender takes {_FEWEST_USERS} or more, so add some"
            )
    return Parts(~test & ~validation, validation, test)


def histories(data: Choices, rows: Flags) -> Histories:
    """What each user chose in these rows, in order: items from 1, negative where not liked."""
    signed = np.where(data.liked, data.item + 1, -(data.item + 1))[rows]
    return _by_user(data, signed, rows)


def wanted(data: Choices, rows: Flags) -> Histories:
    """What each user likes in these rows: places of items, from 0."""
    liked = rows & data.liked
    return _by_user(data, data.item[liked], liked)


def _by_user(data: Choices, values: npt.NDArray[np.int64], rows: Flags) -> Histories:
    ends = np.searchsorted(data.user[rows], np.arange(1, len(data.users)))
    found: Sequence[npt.NDArray[np.int64]] = np.split(values, ends)
    return list(found)
