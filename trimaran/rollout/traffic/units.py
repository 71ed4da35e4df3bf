"""The clients that an experiment has seen, by the digests of their keys, in a file that grows.

A line has the number of a segment and a digest: `1 9f2c4e1ab03d7756`. So a client is counted once
in each segment, also after an interruption, and outcomes count of those only who took part. What a
killed process left of a line does not count.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from trimaran.system.files import read_regular

__all__ = [
    "ANSWERED",
    "DIGITS",
    "KEY",
    "NOBODY",
    "SEEN",
    "Units",
    "forget_units",
    "seen_in",
    "text_of_record",
    "unit_in",
]

KEY, SEEN, ANSWERED = "units.key", "units.seen", "units.answered"
"""Files in an experiment's directory: the key of digests, clients, and records that were scored."""

DIGITS = 16
"""Of a digest, that are kept."""
NOBODY = b"0 " + b"0" * DIGITS + b"\n"
"""In place of an erased line: of no segment, as segments are counted from 1."""
_MOST = 1_000_000
"""Of one segment. Those beyond count as seen before."""
_LINE = re.compile(rb"^(\d+) ([0-9a-f]{16})\n", re.MULTILINE)


class Units:
    """Those in one segment after the other; this process alone adds to the file at `path`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.touch(mode=0o600)
        self._segment = 0
        self._known: set[str] = set()
        self._waiting: list[str] = []
        self._torn = True

    def is_new(self, segment: int, digest: str) -> bool:
        """Whether a client is seen for the first time in a segment; it is kept."""
        if segment != self._segment:
            self.keep()
            self._segment, self._known = segment, _read(self._path, segment) or set()
        unit = digest[:DIGITS]
        if unit in self._known or len(self._known) >= _MOST:
            return False
        self._known.add(unit)
        self._waiting.append(f"{segment} {unit}\n")
        return True

    def keep(self) -> None:
        """Write those that are new."""
        if not self._waiting:
            return
        lines, self._waiting = "".join(self._waiting).encode(), []
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(self._path, flags, 0o600), "ab") as file:  # noqa: PTH123 - its flags
            file.write(b"\n" + lines if self._torn else lines)
        self._torn = False


def seen_in(path: Path, segment: int) -> set[str] | None:
    """The clients of a segment; None where not all of them are known."""
    found = _read(path, segment)
    return None if found is None or len(found) >= _MOST else found


def unit_in(line: bytes) -> str:
    """The digest of a line; empty for one that does not count."""
    found = _LINE.fullmatch(line)
    return found[2].decode() if found else ""


def text_of_record(identifier: str) -> str:
    """What the digest of a record is of, so that it is no client's."""
    return f"\n{identifier}"


def _read(path: Path, segment: int) -> set[str] | None:
    try:
        content = read_regular(path)
    except FileNotFoundError:
        return None
    wanted = str(segment).encode()
    return {unit.decode() for number, unit in _LINE.findall(content) if number == wanted}


def forget_units(directory: Path) -> None:
    """Remove what an experiment knows of its clients, once it has ended."""
    for name in (KEY, SEEN, ANSWERED):
        (directory / name).unlink(missing_ok=True)
