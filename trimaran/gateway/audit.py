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

        Whether it was set aside or somebody removed it, so that Envoy must open another.
        """
        for each in self._path.parent.glob(f"{self._path.stem}.*{self._path.suffix}"):
            if each.stat().st_mtime < now - self._kept.days * _DAY_S:
                each.unlink(missing_ok=True)
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return True
        if found.st_size < self._kept.megabytes << 20 and not self._is_of_another_day(now):
            return False
        stamp = time.strftime(_STAMP, time.gmtime(now))
        self._path.replace(self._path.with_suffix(f".{stamp}{self._path.suffix}"))
        return True

    def _is_of_another_day(self, now: float) -> bool:
        """Whether its first line that has a time is of an earlier day; an erased one has none."""
        today = time.strftime("%Y-%m-%d", time.gmtime(now))
        with self._path.open("rb") as file:
            while line := file.readline(_LONGEST_LINE):
                try:
                    return str(json.loads(line)["time"])[:10] < today
                except (ValueError, KeyError, TypeError):
                    continue
        return False
