"""What a `tritonserver` that ended by itself, or outlived `trimaran serve`, leaves behind."""

from __future__ import annotations

import json
import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from trimaran.repository.repository import Repository
from trimaran.serving.stub_processes import orphans_of, shared_memory
from trimaran.system.files import read_regular, write_text
from trimaran.system.processes import children, start_time, still_runs

__all__ = ["Remains", "Restarts", "end_orphan", "record_server"]

_NAME = "tritonserver.json"
_ORPHAN_ENDS_WITHIN_S = 10.0
_STUBS_END_WITHIN_S = 1.0
_POLL_S = 0.02
_MOST_ABANDONED = 50
"""Regions of dead stubs; with this many, a server has some 1,700 idle threads."""
_MOST_ENDS = 5
_WINDOW_S = 60.0
_FIRST_PAUSE_S = 0.5


@dataclass
class Restarts:
    """When a server that ended by itself is started again: after a pause that doubles each time."""

    ends: list[float] = field(default_factory=list)

    def pause_s(self, now: float) -> float | None:
        """How long to wait after an end; `None` after the fifth one within a minute."""
        self.ends = [*(end for end in self.ends if now - end < _WINDOW_S), now]
        count = len(self.ends)
        return None if count >= _MOST_ENDS else _FIRST_PAUSE_S * 2 ** (count - 1)


@dataclass
class Remains:
    """A server's stubs and their shared memory, noted while it lives, removed after its end.

    Triton leaves shared memory where a stub died or was killed, and some thirty threads with it.
    """

    server_pid: int
    stubs: set[tuple[int, str]] = field(default_factory=set)
    """The process of each and when it started."""
    regions: set[Path] = field(default_factory=set)

    def note(self) -> None:
        """Note what the server has now, while it lives."""
        found = {(pid, start_time(pid)) for pid in children(self.server_pid)}
        self.stubs = {stub for stub in self.stubs | found if still_runs(*stub)}
        standing = {path for path in self.regions if path.exists()}
        self.regions = standing | shared_memory(self.server_pid)

    def is_too_much(self) -> bool:
        """Whether so many stubs died that the server should be started anew.

        Each living stub has one region.
        """
        return len(self.regions) - len(self.stubs) >= _MOST_ABANDONED

    def has_living(self) -> bool:
        """Whether one of the stubs lives."""
        return any(still_runs(*stub) for stub in self.stubs)

    def note_orphans(self) -> None:
        """Note the stubs of the server where it ended: they wait for it for ever."""
        for pid, region in orphans_of(self.server_pid).items():
            self.stubs.add((pid, start_time(pid)))
            self.regions.add(region)

    def remove(self) -> None:
        """End what is left of the stubs, wait until they are gone, and remove the shared memory."""
        for pid, started in self.stubs:
            if still_runs(pid, started):
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + _STUBS_END_WITHIN_S
        while self.has_living() and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        for region in self.regions:
            region.unlink(missing_ok=True)


def record_server(repository: Repository, pid: int, name: str = "") -> None:
    """Record the process of the server of a name, for the case that this one is killed."""
    record = {"pid": pid, "started": start_time(pid)}
    write_text(repository.server_state(name) / _NAME, json.dumps(record) + "\n")


def end_orphan(repository: Repository, name: str = "") -> None:
    """Wait for the end of a server whose `trimaran serve` was killed; kill one that hangs.

    The kernel has sent it SIGTERM, so it is about to end, and keeps its ports until then. Its stubs
    can outlive it, and are ended. Call this while holding `server_of_name`: no other `trimaran
    serve` owns the server then.
    """
    try:
        record = json.loads(read_regular(repository.server_state(name) / _NAME))
        pid, started = int(record["pid"]), str(record["started"])
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return
    remains = Remains(pid)
    if still_runs(pid, started):
        remains.note()
    deadline = time.monotonic() + _ORPHAN_ENDS_WITHIN_S
    while still_runs(pid, started) and time.monotonic() < deadline:
        time.sleep(_POLL_S)
    if still_runs(pid, started):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        while still_runs(pid, started):
            time.sleep(_POLL_S)
    remains.note_orphans()
    remains.remove()
