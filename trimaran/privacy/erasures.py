"""The record of erasures, which names nobody: with an id, it proves later that it was erased.

The file only grows. An erasure adds two lines for each id:

```json
{"time": "…", "event": "begun", "subject": "5d41…"}
{"time": "…", "event": "done", "subject": "5d41…", "removed": {"predictions/churn_record": 3}}
```

`subject` is a digest of the id with the key that lies beside the file. What has begun and is not
done was interrupted.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from trimaran.privacy.masks import key_in
from trimaran.served.prediction_line import Keyed

__all__ = ["Erasures"]

_FILE = "erasures.jsonl"
_BEGUN, _DONE = "begun", "done"


class Erasures:
    """The record in a directory. Raises `OSError` where it cannot be written."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._path = directory / _FILE

    def begin(self, ids: Sequence[str]) -> None:
        """Add that ids will be erased; makes the directory and its key where they are missing."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._add(ids, _BEGUN, lambda each: {})

    def finish(self, ids: Sequence[str], removed: Mapping[str, Mapping[str, int]]) -> None:
        """Add what was removed: by the place's name and the id, how many lines or rows."""

        def of(each: str) -> dict[str, Any]:
            counts = {place: found[each] for place, found in removed.items() if each in found}
            return {"removed": counts}

        self._add(ids, _DONE, of)

    def past(self, ids: Sequence[str]) -> dict[str, str]:
        """Of ids of which something was removed before, when that last was, in ISO 8601."""
        told = self._told(ids)
        return {each: line["time"] for each, line in told if line.get("removed")}

    def is_interrupted(self, ids: Sequence[str]) -> bool:
        """Whether the erasure of one of the ids has begun and is not done."""
        last = {each: line["event"] for each, line in self._told(ids)}
        return _BEGUN in last.values()

    def _told(self, ids: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
        """The lines of the ids, in order."""
        keyed = key_in(self._directory)
        if keyed is None or not self._path.is_file():
            return
        subjects = {keyed.digest(each.encode()): each for each in ids}
        with self._path.open("rb") as file:
            for text in file:
                with suppress(ValueError, KeyError, TypeError):  # half a line, of a full disk
                    line = json.loads(text)
                    if line["subject"] in subjects:
                        yield subjects[line["subject"]], line

    def _add(self, ids: Sequence[str], event: str, more: Callable[[str], dict[str, Any]]) -> None:
        keyed = Keyed.of(self._directory)
        time = datetime.now(UTC).isoformat(timespec="seconds")
        lines = [
            {"time": time, "event": event, "subject": keyed.digest(each.encode()), **more(each)}
            for each in ids
        ]
        text = "".join(f"{json.dumps(line)}\n" for line in lines).encode()
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(self._path, flags, 0o600)
        try:
            size = os.fstat(descriptor).st_size
            if size and os.pread(descriptor, 1, size - 1) != b"\n":
                text = b"\n" + text
            if os.write(descriptor, text) != len(text):
                os.ftruncate(descriptor, size)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
