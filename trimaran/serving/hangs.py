"""Instances that live and do nothing: stopped, deadlocked, or in a call that never returns.

Triton goes on sending requests to such an instance. What a stub shows of itself
(`trimaran.served.pulse`) and the state of its process say whether it hangs, and what the native
backend shows of its instances says it of these.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from trimaran.served.pulse import BEAT_S, LENGTH, NAME
from trimaran.system.processes import is_stopped, memory_file

__all__ = ["HANG_TIMEOUT_S", "HangWatch", "Pulse", "read_pulse"]

HANG_TIMEOUT_S = 120.0
"""By default, how long an instance may work on one batch."""

_STOPPED_S = 5.0
"""How long a stub may be stopped by a signal. Triton gives up on it after a second."""


Instance = TypeVar("Instance")


@dataclass(frozen=True)
class Pulse:
    """What an instance shows: times of the monotonic clock in seconds.

    `began_at` is when its oldest batch began, 0 without one. `beat_at` is when its interpreter last
    ran, 0 where that is not known: before its first batch, or where it shows nothing.
    """

    stopped: bool = False
    began_at: float = 0.0
    beat_at: float = 0.0


def read_pulse(pid: int) -> Pulse:
    """The pulse of a process."""
    began_at, beat_at = 0.0, 0.0
    if (file := memory_file(pid, NAME)) is not None:
        with suppress(OSError, struct.error):  # it ended, or has only just begun
            began_at, beat_at = struct.unpack("dd", file.read_bytes()[:LENGTH])
    return Pulse(is_stopped(pid), began_at, beat_at)


@dataclass
class HangWatch(Generic[Instance]):
    """Which instances hang, each found once; none where `limit_s` is 0."""

    limit_s: float
    stopped_at: dict[Instance, float] = field(default_factory=dict)
    """When each that is stopped was first seen so."""
    found: set[Instance] = field(default_factory=set)

    def observe(self, pulses: Mapping[Instance, Pulse], now: float) -> dict[Instance, str]:
        """Those that hang now and did not before, each with what it does."""
        self.found &= pulses.keys()
        self.stopped_at = {
            instance: self.stopped_at.get(instance, now)
            for instance, pulse in pulses.items()
            if pulse.stopped
        }
        if not self.limit_s:
            return {}
        hangs = {
            instance: words
            for instance, pulse in pulses.items()
            if instance not in self.found and (words := self._hangs(instance, pulse, now))
        }
        self.found |= hangs.keys()
        return hangs

    def _hangs(self, instance: Instance, pulse: Pulse, now: float) -> str:
        stopped_s = now - self.stopped_at.get(instance, now)
        busy_s = now - pulse.began_at if pulse.began_at else 0.0
        silent_s = now - pulse.beat_at if pulse.beat_at else 0.0
        if stopped_s >= min(self.limit_s, _STOPPED_S):
            return f"has been stopped by a signal for {stopped_s:.0f} s"
        if busy_s >= self.limit_s:
            return f"has worked on the same requests for {busy_s:.0f} s"
        if silent_s >= self.limit_s + BEAT_S:
            return f"has not let its interpreter run for {silent_s:.0f} s"
        return ""
