"""Stubs that live and do nothing: stopped, deadlocked, or in a call that never returns.

Triton goes on sending requests to such a stub. What it shows of itself (`trimaran.served.pulse`)
and the state of its process say whether it hangs.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from trimaran.served.pulse import BEAT_S, LENGTH, NAME
from trimaran.serving.stub_processes import Stub
from trimaran.system.processes import is_stopped

__all__ = ["HANG_TIMEOUT_S", "HangWatch", "Pulse", "read_pulse"]

HANG_TIMEOUT_S = 120.0
"""By default, how long a stub may work on one batch."""

_STOPPED_S = 5.0
"""How long a stub may be stopped by a signal. Triton gives up on it after a second."""


@dataclass(frozen=True)
class Pulse:
    """What a stub's process shows: times of the monotonic clock in seconds.

    `began_at` is when its oldest batch began, 0 without one. `beat_at` is when its interpreter last
    ran, 0 where that is not known: before its first batch, or where it shows nothing.
    """

    stopped: bool = False
    began_at: float = 0.0
    beat_at: float = 0.0


def read_pulse(pid: int) -> Pulse:
    """The pulse of a process."""
    began_at, beat_at = 0.0, 0.0
    try:
        for link in Path(f"/proc/{pid}/fd").iterdir():
            if link.readlink().name.startswith(f"memfd:{NAME} "):
                began_at, beat_at = struct.unpack("dd", link.read_bytes()[:LENGTH])
                break
    except (OSError, struct.error):  # it ended, or has only just begun
        pass
    return Pulse(is_stopped(pid), began_at, beat_at)


@dataclass
class HangWatch:
    """Which stubs hang, each found once; none where `limit_s` is 0."""

    limit_s: float
    stopped_at: dict[Stub, float] = field(default_factory=dict)
    """When each stub that is stopped was first seen so."""
    found: set[Stub] = field(default_factory=set)

    def observe(self, pulses: Mapping[Stub, Pulse], now: float) -> dict[Stub, str]:
        """The stubs that hang now and did not before, each with what it does."""
        self.found &= pulses.keys()
        self.stopped_at = {
            stub: self.stopped_at.get(stub, now) for stub, pulse in pulses.items() if pulse.stopped
        }
        if not self.limit_s:
            return {}
        hangs = {
            stub: words
            for stub, pulse in pulses.items()
            if stub not in self.found and (words := self._hangs(stub, pulse, now))
        }
        self.found |= hangs.keys()
        return hangs

    def _hangs(self, stub: Stub, pulse: Pulse, now: float) -> str:
        stopped_s = now - self.stopped_at.get(stub, now)
        busy_s = now - pulse.began_at if pulse.began_at else 0.0
        silent_s = now - pulse.beat_at if pulse.beat_at else 0.0
        if stopped_s >= min(self.limit_s, _STOPPED_S):
            return f"has been stopped by a signal for {stopped_s:.0f} s"
        if busy_s >= self.limit_s:
            return f"has worked on the same requests for {busy_s:.0f} s"
        if silent_s >= self.limit_s + BEAT_S:
            return f"has not let its interpreter run for {silent_s:.0f} s"
        return ""
