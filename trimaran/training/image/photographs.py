"""Photographs with a known class, and the parts that they are divided into."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from trimaran.served.decoding import ImageSettings, Photograph, measure, read
from trimaran.served.image_work import ImageError
from trimaran.system.errors import TrimaranError
from trimaran.system.files import read_regular
from trimaran.training.image.alike import SIDE, Signature, groups_of, signature
from trimaran.training.image.folder import MOST_BYTES, Listed, list_folder, shown
from trimaran.training.progress import Watch
from trimaran.training.tabular.data.split import Split

__all__ = ["FEWEST", "Photographs", "Seen", "load", "read_all", "some", "split"]

FEWEST = 5
"""Different photographs of each class: one to validate, one to test, and three to train."""
_VALIDATED, _TESTED = 0.15, 0.15
_TOGETHER = 32
_NAMED = 10
"""Files that a note names."""

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Photographs:
    """Files of photographs, each with one class. They are read again each time they are used."""

    name: str
    folder: Path
    classes: tuple[str, ...]
    files: tuple[str, ...]
    """Paths below the folder."""
    target: Rows
    """The number of each file's class, int64 `[files]`."""
    sha256: tuple[str, ...]
    groups: Rows = field(repr=False)
    """int64 `[files]`: files of one group are nearly the same picture."""
    measures: npt.NDArray[np.float64] = field(repr=False)
    """float64 `[files, 4]`: see `trimaran.served.decoding.measure`."""
    notes: tuple[str, ...] = ()
    """What was left out, a sentence each."""

    def digest(self) -> str:
        """SHA-256, in hexadecimal, of everything in the folder that decides a training."""
        content = [self.classes, [shown(f) for f in self.files], self.target.tolist(), self.sha256]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()

    def data(self, row: int) -> bytes:
        """The content of a file. Raises `TrimaranError` where it is another one by now."""
        path = self.folder / self.files[row]
        try:
            found = read_regular(path)
        except OSError:
            found = b""
        if hashlib.sha256(found).hexdigest() != self.sha256[row]:
            raise TrimaranError(
                f"{shown(path)} was changed or removed while it was trained on; run the same "
                "command again"
            )
        return found


@dataclass(frozen=True)
class Seen:
    """What is kept of a file that was read."""

    sha256: str
    signature: Signature
    measures: tuple[float, float, float, float]


def load(folder: Path, name: str, settings: ImageSettings, watch: Watch) -> Photographs:
    """Read every photograph of a folder once, as serving reads it.

    Files that serving would refuse are left out with a note, and so are repetitions of a file, and
    a file that stands in two classes. Raises `UsageError` or `TrimaranError` for a folder that is
    not one of classes, and `TrimaranError` where a class has too few photographs.
    """
    listed = list_folder(folder)
    seen: dict[int, Seen] = {}
    faults: list[str] = []
    for row, found in enumerate(read_all(listed, settings, watch)):
        if isinstance(found, Seen):
            seen[row] = found
        else:
            faults.append(f"{shown(listed.files[row][0])} {found}")
    kept, notes = _different(listed, seen)
    if faults:
        notes.insert(0, f"{_count(faults, 'file')} left out as unusable: {some(faults)}")
    if listed.loose:
        notes.append(
            f"{_count(listed.loose, 'file')} beside the sub-folders left out: {some(listed.loose)}"
        )
    data = Photographs(
        name,
        folder,
        listed.classes,
        tuple(listed.files[row][0] for row in kept),
        np.array([listed.files[row][1] for row in kept], np.int64),
        tuple(seen[row].sha256 for row in kept),
        groups_of(np.array([seen[row].signature for row in kept]).reshape(-1, SIDE, SIDE)),
        np.array([seen[row].measures for row in kept], np.float64),
        tuple(notes),
    )
    _require_enough(data)
    alike = len(kept) - len(set(data.groups.tolist()))
    if not alike:
        return data
    note = f"{_count(range(alike), 'photograph')} nearly the same picture as another, in its part"
    return replace(data, notes=(*notes, note))


def split(data: Photographs, seed: int) -> Split:
    """Train, validation and test rows: of each class 15 % for the test, and 15 % to validate.

    Photographs that are nearly the same picture are in the same part, whatever their classes, and
    where they are many of a class they are preferably in the training part.
    """
    generator = np.random.default_rng(seed)
    parts: dict[str, list[int]] = {"train": [], "validation": [], "test": []}
    members = defaultdict(list)
    for row, group in enumerate(data.groups.tolist()):
        members[group].append(row)
    for code in range(len(data.classes)):
        own = generator.permutation([group for group in members if data.target[group] == code])
        large = _TESTED * sum(len(members[group]) for group in own)
        order = sorted(own.tolist(), key=lambda group: len(members[group]) > large)
        tested, validated = (max(1, round(len(own) * share)) for share in (_TESTED, _VALIDATED))
        for place, group in enumerate(order):
            part = "test" if place < tested else "validation"
            parts[part if place < tested + validated else "train"] += members[group]
    return Split(**{part: np.sort(np.array(rows, np.int64)) for part, rows in parts.items()})


def read_all(listed: Listed, settings: ImageSettings, watch: Watch) -> Iterator[Seen | str]:
    """Of each file, in order, what is kept of it, or why it cannot be used."""

    def look(file: tuple[str, int]) -> Seen | str:
        try:
            path = listed.folder / file[0]
            size = path.stat().st_size
            if size > MOST_BYTES:
                return f"has {size / 1e6:.0f} MB, more than the limit of {MOST_BYTES / 1e6:.0f} MB"
            data = read_regular(path)
            photograph: Photograph = read(data, settings)
        except ImageError as error:
            return str(error)
        except OSError as error:
            return f"cannot be read ({error.strerror})"
        digest = hashlib.sha256(data).hexdigest()
        return Seen(digest, signature(photograph.crop), measure(photograph))

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for start in range(0, len(listed.files), _TOGETHER):  # an interrupt waits for these alone
            watch("reading photographs", start, len(listed.files))
            yield from pool.map(look, listed.files[start : start + _TOGETHER])


def _different(listed: Listed, seen: dict[int, Seen]) -> tuple[list[int], list[str]]:
    """The rows to use, in order, and notes on repetitions."""
    same = defaultdict(list)
    for row, each in seen.items():
        same[each.sha256].append(row)
    kept, again, torn = [], [], []
    for rows in same.values():
        if len({listed.files[row][1] for row in rows}) > 1:
            torn += [shown(listed.files[row][0]) for row in rows]
        else:
            kept.append(rows[0])
            again += [shown(listed.files[row][0]) for row in rows[1:]]
    notes = []
    if again:
        notes.append(f"{_count(again, 'file')} repeated and left out: {some(again)}")
    if torn:
        notes.append(
            f"{_count(torn, 'file')} in two classes with the same content and left out: "
            f"{some(torn)}"
        )
    return sorted(kept), notes


def _require_enough(data: Photographs) -> None:
    different = Counter(int(data.target[group]) for group in set(data.groups.tolist()))
    for code, label in enumerate(data.classes):
        if different[code] < FEWEST:
            why = f" ({data.notes[0]})" if data.notes else ""
            raise TrimaranError(
                f"{shown(data.folder / label)} has {different[code]} different photographs that "
                f"can be used, and a class takes {FEWEST} or more; add some, or remove it{why}"
            )


def _count(files: Sequence[object], noun: str) -> str:
    return f"{len(files)} {noun} is" if len(files) == 1 else f"{len(files)} {noun}s are"


def some(files: Sequence[str]) -> str:
    """The first names of files, and how many more there are."""
    rest = len(files) - _NAMED
    return "; ".join(files[:_NAMED]) + (f"; and {rest} more" if rest > 0 else "")
