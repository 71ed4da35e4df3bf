"""How long each version of a model took to load, by tritonserver's own log.

Triton 2.51 has no metric for it, and logs two lines with their times:

    I1122 18:53:09.242875 15855 model_lifecycle.cc:472] "loading: churn_features:1"
    I1122 18:53:10.217180 15855 model_lifecycle.cc:839] "successfully loaded 'churn_features'"
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

__all__ = ["LoadTimes", "follow"]

_LINE = re.compile(
    r"I\d{4} (\d\d):(\d\d):(\d\d\.\d+) .*\"(?:loading: (.+):(\d+)|successfully loaded '(.+)')\""
)
_DAY_S = 86400.0


class LoadTimes:
    """The last load of each model and version, in seconds."""

    def __init__(self) -> None:
        self.seconds: dict[tuple[str, int], float] = {}
        self._began: dict[tuple[str, int], float] = {}

    def read(self, lines: Iterable[str]) -> None:
        """Take in more lines of the log."""
        for line in lines:
            found = _LINE.match(line)
            if not found:
                continue
            hours, minutes, seconds, model, version, loaded = found.groups()
            at_s = int(hours) * 3600 + int(minutes) * 60 + float(seconds)
            if model:
                self._began[model, int(version)] = at_s
                continue
            # The line names no version: it is of all that began to load.
            for key in [key for key in self._began if key[0] == loaded]:
                self.seconds[key] = (at_s - self._began.pop(key)) % _DAY_S


def follow(log: Path, offset: int) -> tuple[list[str], int]:
    """The whole lines of a log from an offset in bytes on, and the offset after them."""
    try:
        with log.open("rb") as file:
            file.seek(offset)
            data = file.read()
    except FileNotFoundError:
        return [], offset
    whole = data.rpartition(b"\n")[0]
    if not whole:
        return [], offset
    return whole.decode(errors="replace").split("\n"), offset + len(whole) + 1
