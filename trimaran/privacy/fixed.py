"""What no command changes, though a person may be in it: versions, golden requests, trained runs.

A version is immutable, and is what was tried; a golden request is a file that people write; a run
says what it was trained on, and its weights have learnt from all of it. So these are named only.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trimaran.privacy.place import Found

__all__ = ["FixedFile", "history_names", "prediction_names", "request_names"]

Names = Callable[[Path], Iterator[str]]
"""The texts in a file by which a person may be found."""


@dataclass(frozen=True)
class FixedFile:
    """A file that holds names, and what to do where a person is among them."""

    name: str
    remedy: str
    path: Path
    names: Names
    unit: str = "file"

    def find(self, ids: Sequence[str]) -> Found:
        """The ids that it names. A file that is not what its name says names nobody."""
        try:
            return Found(Counter(set(ids).intersection(self.names(self.path))))
        except (ValueError, csv.Error, RecursionError):
            return Found()


def history_names(path: Path) -> Iterator[str]:
    """The users of `users.txt`, one a line."""
    with path.open(encoding="utf-8", newline="\n") as file:
        yield from (line.removesuffix("\n") for line in file)


def prediction_names(path: Path) -> Iterator[str]:
    """The identifiers of a run's `predictions.csv`."""
    with path.open(encoding="utf-8", newline="") as file:
        yield from (row.get("identifier") or "" for row in csv.DictReader(file))


def request_names(path: Path) -> Iterator[str]:
    """Every text in a golden request, also those in a record that is JSON text itself."""
    yield from _texts(json.loads(path.read_text(encoding="utf-8")))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from _texts(each)
    elif isinstance(value, str):
        yield value
        if value.lstrip().startswith("{"):
            try:
                yield from _texts(json.loads(value))
            except ValueError:
                return
