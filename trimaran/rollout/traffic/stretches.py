"""At which times an experiment divided the traffic, and which of its segments that was.

A prediction is in an experiment if it was made between two looks of one conducting process, at one
share. What was predicted while the share was being changed, or after the process was interrupted,
is in none.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from trimaran.rollout.ledger import Entry

__all__ = ["Stretches", "segment_at"]

_LOOK, _ELSEWHERE = "look", ("outcomes", "decided")
"""Events that say that the traffic is divided, and those that say nothing of it."""


class Stretches:
    """The stretches of the lines that it was given."""

    def __init__(self) -> None:
        self._segment = 1
        self._looked_s: float | None = None
        self._found: list[tuple[int, float, float]] = []
        """Segments, with where they begin and end, in seconds since the epoch."""

    def add(self, entries: Iterable[Entry]) -> None:
        """Go on with further lines of the experiment's record."""
        for entry in entries:
            if entry.event == _LOOK:
                self._look(datetime.fromisoformat(entry.time).timestamp())
            elif entry.event not in _ELSEWHERE:
                self._looked_s = None
                self._segment += entry.event == "weights"

    @property
    def began_s(self) -> float | None:
        """When the first of them began; None where there is none."""
        return min((begin for _, begin, _ in self._found), default=None)

    def segment_at(self, time_s: float) -> int | None:
        """The segment at a time, from 1; None where the traffic was not known to be divided."""
        return next((n for n, begin, end in self._found if begin < time_s <= end), None)

    def _look(self, time_s: float) -> None:
        begin, self._looked_s = self._looked_s, time_s
        if begin is None or begin > time_s:
            return
        if self._found and self._found[-1][::2] == (self._segment, begin):
            begin = self._found.pop()[1]
        self._found.append((self._segment, begin, time_s))


def segment_at(entries: Iterable[Entry], time_s: float) -> int | None:
    """The segment that had begun last at a time, from 1; None before the experiment."""
    begins = [
        datetime.fromisoformat(entry.time).timestamp()
        for entry in entries
        if entry.event in ("began", "weights")
    ]
    return sum(begin <= time_s for begin in begins) or None
