"""The ledger of runs: a file of JSON lines that only grows, and survives a kill at any moment.

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
from contextlib import contextmanager
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
    """The person."""
    event: str
    run: str
    """As `churn/3`, or a name alone where it is of no single run."""
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Read:
    """What a ledger holds."""

    entries: Sequence[Entry]
    """Up to the first line that cannot be right."""
    problem: str = ""
    """What is wrong with that line; empty where all is right."""
    torn: bytes = b""
    """What a killed process left of a line at the end."""


class Ledger:
    """The ledger in a directory. `now` is the clock."""

    def __init__(
        self, directory: Path, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self.directory = directory
        self._now = now

    @property
    def path(self) -> Path:
        """The file of lines."""
        return self.directory / _FILE

    def read(self) -> Read:
        """What stands in it now; nothing where there is none. Raises `TrimaranError`."""
        try:
            content = read_regular(self.path)
        except FileNotFoundError:
            return Read(())
        except OSError as error:
            raise TrimaranError(f"{self.path} cannot be read: {error.strerror}") from None
        return _parsed(content, self.path)[0]

    def entries(self) -> Sequence[Entry]:
        """The lines. Raises `TrimaranError` where one of them cannot be right."""
        return _sound(self.read())

    @contextmanager
    def writing(self) -> Iterator[LedgerWriter]:
        """Hold the lock, so that what is decided by the lines still holds when one is added.

        Raises `TrimaranError` where a line cannot be right, and `OSError` where it cannot be
        written.
        """
        with exclusive_lock(self.directory / _LOCK):
            content = read_regular(self.path) if self.path.exists() else b""
            found, digest = _parsed(content, self.path)
            entries = list(_sound(found))
            if found.torn:
                self._set_aside(found.torn, len(content) - len(found.torn))
            yield LedgerWriter(self.path, entries, digest, self._now)

    def _set_aside(self, torn: bytes, size: int) -> None:
        _append(self.directory / _TORN, torn + b"\n")
        os.truncate(self.path, size)


class LedgerWriter:
    """Adds lines to a ledger whose lock is held."""

    def __init__(
        self, path: Path, entries: list[Entry], digest: str, now: Callable[[], datetime]
    ) -> None:
        self.entries: Sequence[Entry] = entries
        self._path = path
        self._added = entries
        self._digest = digest
        self._now = now

    def add(self, by: str, event: str, run: str, details: Mapping[str, Any] | None = None) -> Entry:
        """Add a line; it is on the disk when this returns."""
        time = self._now().astimezone(UTC).isoformat(timespec="milliseconds")
        number = len(self._added) + 1
        entry = Entry(number, time.replace("+00:00", "Z"), by, event, run, dict(details or {}))
        body = _body(entry)
        digest = _digest(self._digest, body)
        line = json.dumps({**body, "digest": digest})
        _append(self._path, f"{line}\n".encode())
        self._digest = digest
        self._added.append(entry)
        return entry


def _body(entry: Entry) -> dict[str, Any]:
    return {
        "line": entry.number,
        "time": entry.time,
        "by": entry.by,
        "event": entry.event,
        "run": entry.run,
        "details": dict(entry.details),
    }


def _digest(before: str, body: Mapping[str, Any]) -> str:
    text = json.dumps(body, sort_keys=True)
    return hashlib.sha256(f"{before}\n{text}".encode()).hexdigest()


def _sound(found: Read) -> Sequence[Entry]:
    if found.problem:
        raise TrimaranError(found.problem)
    return found.entries


def _parsed(content: bytes, path: Path) -> tuple[Read, str]:
    """What the bytes of a ledger hold, and the digest of its last line."""
    whole, end, torn = content.rpartition(b"\n")
    entries: list[Entry] = []
    digest = ""
    for number, line in enumerate(whole.split(b"\n") if end else (), start=1):
        entry, given = _entry(line)
        if entry is not None and (entry.number, given) == (number, _digest(digest, _body(entry))):
            entries.append(entry)
            digest = given
            continue
        problem = (
            f"{path}: line {number} was changed, or one before it was removed, after it was "
            "written; bring the file back from a copy"
        )
        return Read(entries, problem, torn), digest
    return Read(entries, torn=torn), digest


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
        if os.write(descriptor, text) != len(text):
            os.ftruncate(descriptor, size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
