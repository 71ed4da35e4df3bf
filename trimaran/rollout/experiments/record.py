"""The record of an experiment: a file of JSON lines that only grows, and survives a kill.

```json
{"line": 3, "time": "2026-11-28T03:20:11.204Z", "by": "gateway", "event": "look",
 "run": "churn/1", "details": {"live": {"requests": 95, "units": 95}}, "digest": "9f2c…"}
```

A line is one write and one flush to the disk, while a lock is held. `digest` is the SHA-256 of the
digest before it and of the rest of its line, so a line that was changed or removed shows. A text at
the end without its line end was left by a process that was killed: it does not count, and the next
writer moves it into `ledger.torn`. A line's number orders it, and not its time.

Looks are many, so a reader keeps its place, and reads only what was added since.
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
from trimaran.system.files import exclusive_lock

__all__ = ["Entry", "Record"]

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
    """What it is about, as `churn/1`."""
    details: Mapping[str, Any] = field(default_factory=dict)


class Record:
    """The record in a directory, read up to a place. `now` is the clock."""

    def __init__(
        self, directory: Path, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self.directory = directory
        self._now = now
        self._lines = 0
        self._place = 0
        self._digest = ""

    @property
    def path(self) -> Path:
        """The file of lines."""
        return self.directory / _FILE

    def news(self) -> Sequence[Entry]:
        """The whole lines that were added since the last call. Raises `TrimaranError`."""
        return self._read()[0]

    @contextmanager
    def writing(self) -> Iterator[Sequence[Entry]]:
        """Hold the lock; gives `news`, so that what is decided by them holds when a line is added.

        Raises `TrimaranError` where a line cannot be right.
        """
        with exclusive_lock(self.directory / _LOCK):
            entries, torn = self._read()
            if torn:
                _append(self.directory / _TORN, torn + b"\n")
                os.truncate(self.path, self._place)
            yield entries

    def add(self, by: str, event: str, run: str, details: Mapping[str, Any]) -> Entry:
        """Add a line while `writing`; it is on the disk when this returns. Raises `OSError`."""
        time = self._now().astimezone(UTC).isoformat(timespec="milliseconds")
        number = self._lines + 1
        entry = Entry(number, time.replace("+00:00", "Z"), by, event, run, details)
        body = _body(entry)
        digest = _digest(self._digest, body)
        line = f"{json.dumps({**body, 'digest': digest})}\n".encode()
        _append(self.path, line)
        self._lines, self._place, self._digest = number, self._place + len(line), digest
        return entry

    def _read(self) -> tuple[list[Entry], bytes]:
        """The whole lines after the place, which moves behind them; and what is torn after them."""
        try:
            with self.path.open("rb") as file:
                file.seek(self._place)
                content = file.read()
        except FileNotFoundError:
            return [], b""
        except OSError as error:
            raise TrimaranError(f"{self.path} cannot be read: {error.strerror}") from None
        whole, end, torn = content.rpartition(b"\n")
        entries = []
        for line in whole.split(b"\n") if end else ():
            entry, digest = _entry(line)
            if entry is None or entry.number != self._lines + 1:
                raise self._changed()
            if digest != _digest(self._digest, _body(entry)):
                raise self._changed()
            entries.append(entry)
            self._lines, self._digest = entry.number, digest
        self._place += len(whole) + len(end)
        return entries, torn

    def _changed(self) -> TrimaranError:
        return TrimaranError(
            f"{self.path}: line {self._lines + 1} was changed, or one before it was removed, after "
            "it was written; bring the file back from a copy"
        )


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
