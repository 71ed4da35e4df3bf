"""The files of what the gateway logs, kept within their size and time.

audit.log  audit.20261127T231500Z.log       the audit log, and earlier ones by the time of their end
arms.log   arms.1.log                       requests to models that have a candidate, while they do
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from trimaran.gateway.settings import Audit

__all__ = ["AuditLog", "rotate_arms"]

_DAY_S = 86_400
_LONGEST_LINE = 1 << 16
_MOST_OF_ARMS = 1 << 26
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


def rotate_arms(path: Path, *, is_read: bool) -> bool:
    """Set the log of arms aside if it is full, and empty it while nobody reads it.

    Its lines have digests of clients' keys. Whether Envoy must open another file.
    """
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        return True
    aside = path.with_suffix(f".1{path.suffix}")
    if not is_read:
        aside.unlink(missing_ok=True)
        if size:
            os.truncate(path, 0)
        return False
    if size > _MOST_OF_ARMS:
        path.replace(aside)
        return True
    return False
