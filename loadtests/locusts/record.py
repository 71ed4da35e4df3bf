"""Each request's exact times, which Locust rounds: kept by each process, and read as one outcome.

Each process appends to its file, so that a killed process loses nothing. Times are of the machine's
monotonic clock, which all its processes share.
"""

from __future__ import annotations

import json
import os
from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from loadtests.generator.outcome import Outcome

__all__ = [
    "FACTS_SUFFIX",
    "Found",
    "Record",
    "Recorder",
    "Streak",
    "outcome_of",
    "read_found",
    "read_records",
]

FACTS_SUFFIX = ".facts.json"
"""The file that each process writes at its end, next to its requests."""

_SUFFIX = ".requests"
_COLUMNS = 3
_LEAST_FAILURES = 10


@dataclass(frozen=True)
class Record:
    """Requests in the order of sending; arrays `[requests]`."""

    began_s: np.ndarray
    """On the monotonic clock."""
    latency_s: np.ndarray
    """Until the answer was complete, or until the request failed."""
    good: np.ndarray


class Recorder:
    """Takes requests one by one; without a `directory` it keeps them all in memory."""

    def __init__(self, directory: Path | None = None) -> None:
        self._rows = array("d")
        self._file = (directory / f"{os.getpid()}{_SUFFIX}").open("ab") if directory else None

    def add(self, began_s: float, latency_s: float, good: bool) -> None:
        """Keep one request."""
        self._rows.extend((began_s, latency_s, good))

    def flush(self) -> None:
        """Write the requests that were added since."""
        if self._file is not None:
            self._file.write(self._rows.tobytes())
            self._file.flush()
            self._rows = array("d")

    def close(self) -> None:
        """Write the rest."""
        self.flush()
        if self._file is not None:
            self._file.close()
            self._file = None

    def record(self) -> Record:
        """The requests in memory."""
        return _record(np.array(self._rows, np.float64))


def read_records(directory: Path) -> Record:
    """The requests that all processes wrote into a directory."""
    parts = [np.fromfile(path, np.float64) for path in sorted(directory.glob(f"*{_SUFFIX}"))]
    whole = [part[: len(part) // _COLUMNS * _COLUMNS] for part in parts]
    return _record(np.concatenate(whole) if whole else np.empty(0))


@dataclass(frozen=True)
class Found:
    """All processes together."""

    record: Record
    cpu_s: float = 0.0
    """CPU seconds of the users' processes."""
    refusal: str = ""
    """The server's message on the first request that failed, from one process."""
    gave_up: str = ""
    """Why the users were stopped early, if they were."""
    locust_ms: Mapping[str, float] = field(default_factory=dict)
    """Percentiles as Locust rounds them."""
    locust_requests: int | None = None
    users_s: tuple[float, float] | None = None
    """When all processes were starting users, and when the first of them began to stop them."""


def read_found(directory: Path) -> Found:
    """From the files of a run that has ended, also of a killed one."""
    facts = []
    for path in sorted(directory.glob(f"*{FACTS_SUFFIX}")):
        try:
            facts.append(json.loads(path.read_text(encoding="utf-8")))
        except ValueError:  # the process was killed while it wrote
            continue
    own = dict(next((item["locust"] for item in facts if item["locust"]), {}))
    requests = own.pop("requests", None)
    spans = [item["users_s"] for item in facts if item["users_s"]]
    users_s = (max(s for s, _ in spans), min(s for _, s in spans)) if spans else None
    return Found(
        read_records(directory),
        sum(item["cpu_s"] for item in facts),
        next((item["refusal"] for item in facts if item["refusal"]), ""),
        next((item["gave_up"] for item in facts if item["gave_up"]), ""),
        {name: float(value) for name, value in own.items() if value is not None},
        requests,
        users_s,
    )


def outcome_of(found: Found, interrupted: bool) -> Outcome:
    """Requests from the first one's start; each was due when it was sent."""
    record = found.record
    sent_s = record.began_s - record.began_s[0] if len(record.began_s) else record.began_s
    done_s = sent_s + record.latency_s
    return Outcome(
        scheduled_s=sent_s,
        tried_s=sent_s,
        sent_s=sent_s,
        done_s=done_s,
        good=record.good,
        wall_s=float(np.max(done_s)) if len(done_s) else 0.0,
        cpu_s=found.cpu_s,
        interrupted=interrupted,
        refusal=found.refusal,
    )


class Streak:
    """Failures in a row. A run ends after ten of them without a good answer for `patience_s`."""

    def __init__(self, began_s: float, patience_s: float) -> None:
        self._good_s = began_s
        self._patience_s = patience_s
        self._failures = 0

    def add(self, at_s: float, good: bool) -> bool:
        """Count a request, in order of its end; whether the run must end."""
        if good:
            self._good_s = at_s
            self._failures = 0
            return False
        self._failures += 1
        return self._failures >= _LEAST_FAILURES and at_s - self._good_s >= self._patience_s


def _record(values: np.ndarray) -> Record:
    rows = values.reshape(-1, _COLUMNS)
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    return Record(rows[:, 0], rows[:, 1], rows[:, 2] > 0)
