"""A ledger: a file of JSON lines that only grows, and survives a kill at any moment.

```json
{"line": 3, "time": "2026-11-28T03:20:11.204Z", "by": "anna", "event": "ignored",
 "run": "churn/1", "details": {"why": "trained on half a table"}, "digest": "9f2c…"}
```

A line is one write and one flush to the disk, while a lock is held. `digest` is the SHA-256 of the
digest before it and of the rest of its line, so a line that was changed or removed shows. A text at
the end without its line end was left by a process that was killed: it does not count, and the next
writer moves it into `ledger.torn`. A line's number orders it, and not its time, since a clock can
be set back.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from trimaran.system.errors import TrimaranError
from trimaran.system.files import exclusive_lock, read_regular

__all__ = ["Entry", "Ledger", "LedgerWriter", "Read"]

_FILE, _TORN, _LOCK = "ledger.jsonl", "ledger.torn", ".lock"


@dataclass(frozen=True)
class Entry:
    """One line."""

    number: int
    """From 1."""
    time: str
    """In ISO 8601, UTC."""
    by: str
    """The person, or the part of the product."""
    event: str
    run: str
    """A run or an experiment, as `churn/3`, or a name alone where it is of no single one."""
    details: Mapping[str, Any] = field(default_factory=dict)

    def record(self) -> dict[str, Any]:
        """For JSON, under the names that its line has in the file."""
        return {
            "line": self.number,
            "time": self.time,
            "by": self.by,
            "event": self.event,
            "run": self.run,
            "details": dict(self.details),
        }


@dataclass(frozen=True)
class Read:
    """What a ledger holds."""

    entries: Sequence[Entry]
    """Up to the first line that cannot be right."""
    problem: str = ""
    """What is wrong with that line; empty where all is right."""
    torn: bytes = b""
    """What a killed process left of a line at the end."""


@dataclass(frozen=True)
class _Place:
    """Behind a line of the file."""

    lines: int = 0
    bytes: int = 0
    digest: str = ""
    """That of the line."""


class Ledger:
    """The ledger in a directory. `now` is the clock.

    One that `follows` keeps its place, and reads each line once; that is for many lines.
    """

    def __init__(
        self,
        directory: Path,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        *,
        follows: bool = False,
    ) -> None:
        self.directory = directory
        self._now = now
        self._follows = follows
        self._place = _Place()

    @property
    def path(self) -> Path:
        """The file of lines."""
        return self.directory / _FILE

    def read(self) -> Read:
        """All that stands in it now; nothing where there is none. Raises `TrimaranError`."""
        return self._after(_Place())[0]

    def entries(self) -> Sequence[Entry]:
        """All lines. Raises `TrimaranError` where one of them cannot be right."""
        return _sound(self.read())

    def news(self) -> Sequence[Entry]:
        """The lines since the last call; all, unless it follows. Raises `TrimaranError`."""
        found, place = self._new()
        entries = _sound(found)
        self._place = place
        return entries

    @contextmanager
    def writing(self) -> Iterator[LedgerWriter]:
        """Hold the lock, so that what is decided by the lines still holds when one is added.

        The writer has the `news`. Raises `TrimaranError` where a line cannot be right, and where
        none can be written.
        """
        with ExitStack() as held:
            with self._writable():
                held.enter_context(exclusive_lock(self.directory / _LOCK))
                found, place = self._new()
                entries = list(_sound(found))
                self._place = place
                if found.torn:
                    _append(self.directory / _TORN, found.torn + b"\n")
                    os.truncate(self.path, place.bytes)
            yield LedgerWriter(entries, self._add)

    @contextmanager
    def _writable(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise TrimaranError(
                f"{self.path} cannot be written: {error.strerror}; nothing was added to it, so "
                "give it room or the right to be written, and run the same command again"
            ) from error

    def _add(self, by: str, event: str, run: str, details: Mapping[str, Any]) -> Entry:
        time = self._now().astimezone(UTC).isoformat(timespec="milliseconds")
        number = self._place.lines + 1
        entry = Entry(number, time.replace("+00:00", "Z"), by, event, run, dict(details))
        body = entry.record()
        digest = _digest(self._place.digest, body)
        line = f"{json.dumps({**body, 'digest': digest})}\n".encode()
        with self._writable():
            _append(self.path, line)
        self._place = _Place(number, self._place.bytes + len(line), digest)
        return entry

    def _new(self) -> tuple[Read, _Place]:
        return self._after(self._place if self._follows else _Place())

    def _after(self, place: _Place) -> tuple[Read, _Place]:
        """What stands after a place, and the place behind that."""
        try:
            content = read_regular(self.path, place.bytes)
        except FileNotFoundError:
            return Read(()), place
        except OSError as error:
            raise TrimaranError(f"{self.path} cannot be read: {error.strerror}") from None
        return _parsed(content, self.path, place)


class LedgerWriter:
    """Adds lines to a ledger whose lock is held. `entries` are its news, and what it added."""

    def __init__(
        self,
        news: list[Entry],
        add: Callable[[str, str, str, Mapping[str, Any]], Entry],
    ) -> None:
        self.entries: Sequence[Entry] = news
        self._added = news
        self._add = add

    def add(self, by: str, event: str, run: str, details: Mapping[str, Any] | None = None) -> Entry:
        """Add a line; it is on the disk when this returns. Raises `TrimaranError`."""
        entry = self._add(by, event, run, details or {})
        self._added.append(entry)
        return entry


def _digest(before: str, body: Mapping[str, Any]) -> str:
    text = json.dumps(body, sort_keys=True)
    return hashlib.sha256(f"{before}\n{text}".encode()).hexdigest()


def _sound(found: Read) -> Sequence[Entry]:
    if found.problem:
        raise TrimaranError(found.problem)
    return found.entries


def _parsed(content: bytes, path: Path, place: _Place) -> tuple[Read, _Place]:
    """What the bytes after a place hold, and the place behind the last line that is right."""
    whole, end, torn = content.rpartition(b"\n")
    entries: list[Entry] = []
    for line in whole.split(b"\n") if end else ():
        number = place.lines + 1
        entry, given = _entry(line)
        if entry is None or (entry.number, given) != (
            number,
            _digest(place.digest, entry.record()),
        ):
            problem = (
                f"{path}: line {number} was changed, or one before it was removed, after it was "
                "written; bring the file back from a copy"
            )
            return Read(entries, problem, torn), place
        entries.append(entry)
        place = _Place(number, place.bytes + len(line) + 1, given)
    return Read(entries, torn=torn), place


def _entry(line: bytes) -> tuple[Entry | None, str]:
    """The entry of a line and its digest; None for a line that is none."""
    try:
        found = json.loads(line)
        texts = [found[key] for key in ("time", "by", "event", "run", "digest")]
        number, details = found["line"], found["details"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None, ""
    sound = all(isinstance(each, str) for each in texts) and isinstance(details, dict)
    if not sound or type(number) is not int:
        return None, ""
    time, by, event, run, digest = texts
    return Entry(number, time, by, event, run, details), digest


def _append(path: Path, text: bytes) -> None:
    """One write and one flush; a disk that is full leaves the file as it was."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o644)
    try:
        size = os.fstat(descriptor).st_size
        try:
            if os.write(descriptor, text) != len(text):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
            os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, size)
            raise
    finally:
        os.close(descriptor)
