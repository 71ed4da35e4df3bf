"""The clients of an experiment, by the digests of their keys.

The experiment's own key lies beside them until it ends, so until then a client can be found. Then
the key is removed, and what is left of the digests is nobody's.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from trimaran.privacy.masks import Mask, prediction_mask, unit_mask
from trimaran.privacy.place import Found
from trimaran.privacy.writable import open_writable
from trimaran.rollout.traffic.units import ANSWERED, NOBODY, SEEN, text_of_record, unit_in

__all__ = ["CountedUnits", "ExperimentUnits", "arm_keys"]


@dataclass(frozen=True)
class ExperimentUnits:
    """Which clients were seen; `predictions` is the folder of the model's prediction log."""

    name: str
    directory: Path
    predictions: Path
    unit: str = "line"

    def find(self, ids: Sequence[str]) -> Found:
        """The lines of the ids."""
        return self._judged(ids, erase=False)

    def remove(self, ids: Sequence[str]) -> Found:
        """Overwrite the lines of the ids where they are; their outcomes count no more."""
        return self._judged(ids, erase=True)

    def _judged(self, ids: Sequence[str], *, erase: bool) -> Found:
        mask = unit_mask(self.directory)
        if mask is None:
            return Found()
        counts: Counter[str] = Counter()
        size = 0
        scored = _records(ids, mask, prediction_mask(self.predictions))
        for file, units in ((SEEN, {mask(each): each for each in ids}), (ANSWERED, scored)):
            for each, length in _lines_of(self.directory / file, units, erase=erase):
                counts[each] += 1
                size += length
        return Found(counts, size)


@dataclass(frozen=True)
class CountedUnits:
    """Whose outcomes the record of an experiment has counted; it only grows."""

    name: str
    remedy: str
    path: Path
    unit: str = "file"

    def find(self, ids: Sequence[str]) -> Found:
        """The ids among them, while the experiment goes on."""
        mask = unit_mask(self.path.parent)
        if mask is None:
            return Found()
        with self.path.open("rb") as file:
            counted = {unit for line in file for unit in _counted(line)}
        return Found(Counter(each for each in ids if mask(each) in counted))


def arm_keys(line: Mapping[str, Any]) -> Iterator[object]:
    """Of a request that had an arm: its client's digest."""
    yield line.get("unit")


def _records(ids: Sequence[str], mask: Mask, stored: Mask | None) -> Mapping[str, str]:
    """The digests of records, and their ids; `stored` is what the log may have in place of one."""
    found = {mask(text_of_record(each)): each for each in ids}
    masked = {mask(text_of_record(stored(each))): each for each in ids} if stored else {}
    return {**found, **masked}


def _lines_of(path: Path, units: Mapping[str, str], *, erase: bool) -> Iterator[tuple[str, int]]:
    file = open_writable(path)
    if file is None:
        return
    with file:
        start = 0
        for line in file:
            unit = unit_in(line)
            if unit in units:
                if erase:
                    os.pwrite(file.fileno(), NOBODY.rjust(len(line)), start)
                yield units[unit], len(line)
            start += len(line)
        if erase:
            os.fsync(file.fileno())


def _counted(line: bytes) -> Sequence[str]:
    try:
        found = orjson.loads(line)["details"].get("of", ())
    except (ValueError, TypeError, KeyError, AttributeError):
        return ()
    return found if isinstance(found, list) else ()
