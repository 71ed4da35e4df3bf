"""The rows of a database of results, which may be on another machine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from trimaran.privacy.place import Found
from trimaran.rollout.results.database import Database
from trimaran.rollout.results.people import remove_people, rows_of_people

__all__ = ["ResultRows"]


@dataclass(frozen=True)
class ResultRows:
    """Predictions with their reasons, and scored rows, by their identifiers."""

    name: str
    database: Database
    unit: str = "row"

    def find(self, ids: Sequence[str]) -> Found:
        """The rows of the ids."""
        return Found(Counter(rows_of_people(self.database, ids)))

    def remove(self, ids: Sequence[str]) -> Found:
        """Delete them; all or none."""
        return Found(Counter(remove_people(self.database, ids)))
