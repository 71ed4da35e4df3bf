"""A directory's logs of JSON lines, which other processes may be writing now."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from trimaran.privacy.lines import Judged, Keys, erased, judge, stored_forms
from trimaran.privacy.masks import Mask
from trimaran.privacy.place import Found
from trimaran.privacy.writable import open_writable

__all__ = ["LogFiles"]

_WRITING_S = 0.1
"""Within this a process ends the line that it is writing."""


@dataclass(frozen=True)
class LogFiles:
    """The logs in a directory whose names match `pattern`."""

    name: str
    directory: Path
    pattern: str
    keys: Keys
    mask: Callable[[Path], Mask | None]
    unit: str = "line"

    def find(self, ids: Sequence[str]) -> Found:
        """Lines of the ids. Each file is opened for writing, so what cannot be erased is known."""
        return self._judged(ids, erase=False)

    def remove(self, ids: Sequence[str]) -> Found:
        """Overwrite the lines of the ids where they are, and flush that to the disk."""
        return self._judged(ids, erase=True)

    def _judged(self, ids: Sequence[str], *, erase: bool) -> Found:
        mask = self.mask(self.directory)
        forms = stored_forms(ids, mask)

        def judging(line: bytes) -> Judged:
            return judge(line, forms, self.keys, has_key=mask is not None)

        counts: Counter[str] = Counter()
        size = damaged = hidden = 0
        for path in sorted(self.directory.glob(self.pattern)):
            for found, length in _judged_lines(path, judging, erase=erase):
                damaged += found.damaged
                hidden += found.hidden
                if found.id is not None:
                    counts[found.id] += 1
                    size += length
        return Found(counts, size, damaged, hidden)


def _judged_lines(
    path: Path, judging: Callable[[bytes], Judged], *, erase: bool
) -> Iterator[tuple[Judged, int]]:
    """What was found out about each line of a file, with its length."""
    file = open_writable(path)
    if file is None:  # its writer removed it
        return
    with file:
        changed, before = False, os.fstat(file.fileno())
        for start, line in _lines(file):
            found = judging(line)
            if erase and found.id is not None:
                if not _overwrite(file, start, line):
                    continue
                changed = True
            yield found, len(line)
        if changed:  # logs are kept for days by their time
            with suppress(PermissionError):  # the file is another user's
                os.utime(file.fileno(), ns=(before.st_atime_ns, before.st_mtime_ns))
            os.fsync(file.fileno())


def _lines(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """The lines with the places where they begin; the last one may have no end."""
    start, waited = 0, False
    while line := file.readline():
        if not line.endswith(b"\n") and not waited:
            time.sleep(_WRITING_S)
            file.seek(start)
            waited = True
            continue
        yield start, line
        start, waited = start + len(line), False


def _overwrite(file: BinaryIO, start: int, line: bytes) -> bool:
    """Write over a line, unless it is no longer there: its writer may have taken it back."""
    descriptor = file.fileno()
    if os.pread(descriptor, len(line), start) != line:
        return False
    return os.pwrite(descriptor, erased(line), start) == len(line)
