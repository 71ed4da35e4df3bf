"""What each arm did, from the lines that the gateway writes of requests to a split model.

A request counts once it has ended. An arm's error is what its clients got as one, or would have
got: a request of the candidate's that what is live had to answer is the candidate's error, whether
it failed there or its server was away. What the gateway itself refused reached no arm, and does not
count.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from trimaran.rollout.experiments.observed import Observed
from trimaran.rollout.experiments.segments import ARMS, ArmName
from trimaran.stats.anytime_quantiles import bin_of
from trimaran.system.ports import Ports

__all__ = ["ArmsLog", "Ends", "failed", "reached"]

_REACHED = ("via_upstream", "upstream_", "response_timeout", "downstream_")
"""How Envoy's word begins for a request that was sent to a server."""
_REFUSED = "overflow"
_FAILED = 400
_MOST_BYTES = 1 << 24
"""What is read at once."""


class ArmsLog:
    """Follows the file from where it ends now, also where it is emptied or replaced."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = self._opened()
        if self._file:
            self._file.seek(0, os.SEEK_END)
        self._torn = b""

    def close(self) -> None:
        """Close the file."""
        if self._file:
            self._file.close()

    def news(self) -> list[Mapping[str, Any]]:
        """The requests that ended since the last call."""
        if self._file is None:
            self._file = self._opened()
        if self._file is None:
            return []
        moved = self._moved()
        if os.fstat(self._file.fileno()).st_size < self._file.tell():
            self._file.seek(0)  # it was emptied
        text = self._torn + self._file.read(_MOST_BYTES)
        whole, _, self._torn = text.rpartition(b"\n")
        if moved and len(text) < _MOST_BYTES:
            self._file.close()
            self._file, self._torn = self._opened(), b""
        return [line for each in whole.split(b"\n") if (line := _line(each))]

    def _opened(self) -> BinaryIO | None:
        try:
            return self._path.open("rb")
        except FileNotFoundError:
            return None

    def _moved(self) -> bool:
        """Whether another file has its name, which has lines: then nothing is added to this one."""
        assert self._file  # noqa: S101 - the caller has it
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return False
        return found.st_ino != os.fstat(self._file.fileno()).st_ino and found.st_size > 0


def _line(text: bytes) -> Mapping[str, Any] | None:
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


class Ends:
    """Counts requests by how they ended, by arm, for one experiment.

    `ports` are those of the candidate's server; `is_new` says whether a client's digest is seen for
    the first time.
    """

    def __init__(self, experiment: str, ports: Ports, is_new: Callable[[str], bool]) -> None:
        self._experiment = experiment
        self._own = {f"{ports.host}:{port}" for port in (ports.http, ports.grpc)}
        self._is_new = is_new

    def counted(
        self, lines: Iterable[Mapping[str, Any]], share: float
    ) -> Mapping[ArmName, Observed]:
        """What the requests are to the statistics, of those divided by a share.

        Those that ended after the share was changed were divided by another, and do not count.
        """
        seen = {arm: _Seen() for arm in ARMS}
        for line in lines:
            arm = line.get("arm")
            mine = line.get("experiment") == self._experiment and line.get("share") == share
            if mine and arm in ARMS and reached(line):
                unit = line.get("unit") or ""
                elsewhere = arm == "candidate" and line.get("server") not in self._own
                is_error = elsewhere or failed(line)
                seen[arm].add(line, failed=is_error, is_new=not unit or self._is_new(unit))
        return {arm: each.observed() for arm, each in seen.items()}


class _Seen:
    def __init__(self) -> None:
        self.requests = self.errors = self.units = 0
        self.latencies: Counter[int] = Counter()

    def add(self, line: Mapping[str, Any], *, failed: bool, is_new: bool) -> None:
        self.requests += 1
        self.errors += failed
        self.units += is_new
        took = line.get("us")
        if not failed and isinstance(took, int | float):
            self.latencies[bin_of(took / 1e6)] += 1

    def observed(self) -> Observed:
        return Observed(self.requests, self.errors, self.units, dict(self.latencies))


def reached(line: Mapping[str, Any]) -> bool:
    """Whether a request was sent to a server."""
    why = str(line.get("why") or "")
    return why.startswith(_REACHED) and _REFUSED not in why


def failed(line: Mapping[str, Any]) -> bool:
    """Whether a request had no answer, or an error as one."""
    status, call = line.get("status") or 0, line.get("grpc_status") or 0
    return call != 0 or not 0 < status < _FAILED
