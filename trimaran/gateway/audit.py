"""The audit log's files: the current one, and earlier ones by the time of their end.

audit.log  audit.20261127T231500Z.log
"""

from __future__ import annotations

import json
import time
from pathlib import Path

from trimaran.gateway.settings import Audit

__all__ = ["AuditLog"]

_DAY_S = 86_400
_LONGEST_LINE = 1 << 16
_STAMP = "%Y%m%dT%H%M%SZ"


class AuditLog:
    """Keeps the files of an audit log within their size, and for their days."""

    def __init__(self, path: Path, kept: Audit) -> None:
        self._path = path
        self._kept = kept

    def rotate(self, now: float) -> bool:
        """Set the current file aside if it is full or a day old, and remove files that are too old.

        Whether it was set aside, so that Envoy must open another.
        """
        for each in self._path.parent.glob(f"{self._path.stem}.*{self._path.suffix}"):
            if each.stat().st_mtime < now - self._kept.days * _DAY_S:
                each.unlink(missing_ok=True)
        try:
            found = self._path.stat()
        except OSError:
            return False
        if found.st_size < self._kept.megabytes << 20 and not self._is_of_another_day(now):
            return False
        stamp = time.strftime(_STAMP, time.gmtime(now))
        self._path.replace(self._path.with_suffix(f".{stamp}{self._path.suffix}"))
        return True

    def _is_of_another_day(self, now: float) -> bool:
        """Whether its first line is of an earlier day."""
        with self._path.open("rb") as file:
            line = file.readline(_LONGEST_LINE)
        try:
            begun = str(json.loads(line)["time"])
        except (ValueError, KeyError, TypeError):
            return False
        return begun[:10] < time.strftime("%Y-%m-%d", time.gmtime(now))
