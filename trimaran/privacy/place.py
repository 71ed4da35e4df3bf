"""A place that keeps something about people, and what was found there.

A place more is a class with these members, and an entry in `places.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

__all__ = ["Fixed", "Found", "Keeping", "Place"]


@dataclass(frozen=True)
class Found:
    """What a place keeps about the sought ids."""

    counts: Mapping[str, int] = field(default_factory=Counter)
    """Lines, rows or files by id; an id of which nothing is kept is not in it."""
    bytes: int = 0
    """Of the lines, together."""
    damaged: int = 0
    """Lines that cannot be read, and name none of the ids."""
    hidden: int = 0
    """Lines whose identifier is masked by a key that is not there."""

    @property
    def total(self) -> int:
        """How many lines, rows or files."""
        return sum(self.counts.values())


class Keeping(Protocol):
    """Where something is kept about people."""

    @property
    def name(self) -> str:
        """Its path, in what is kept next to a repository or from this folder."""
        ...

    @property
    def unit(self) -> str:
        """What is counted there, such as `line`."""
        ...

    def find(self, ids: Sequence[str]) -> Found:
        """What it keeps. Raises `TrimaranError` where this user cannot read, or not change it."""
        ...


class Place(Keeping, Protocol):
    """One from which it can be removed."""

    def remove(self, ids: Sequence[str]) -> Found:
        """Remove it, and tell what was removed. Other people's stays, also what is being added.

        May be interrupted at any time; the next call removes the rest.
        """
        ...


class Fixed(Keeping, Protocol):
    """One that no command changes, such as a version."""

    @property
    def remedy(self) -> str:
        """What a person does about it."""
        ...
