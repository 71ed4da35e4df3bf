"""Stubs that Triton left behind: it unloads a model that lost one, and never ends the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from trimaran.system.processes import Stub

__all__ = ["Leftovers"]

_GRACE_S = 5.0
_IDLE_SHARE = 0.01
"""Of a core: what a stub that answers nobody stays below."""


@dataclass
class Leftovers:
    """The stubs of healed models, until they are gone.

    One that has done nothing during the whole grace answers no request any more, and may be ended;
    one that still works is looked at again after another grace.
    """

    waiting: dict[Stub, tuple[float, float]] = field(default_factory=dict)
    """When each is judged, and its CPU seconds when its grace began."""

    def add(self, stubs: Iterable[Stub], now: float, cpu_s: Callable[[int], float]) -> None:
        """Stubs of a model that has just got new ones; `cpu_s` tells a process's CPU seconds."""
        for stub in stubs:
            self.waiting.setdefault(stub, (now + _GRACE_S, cpu_s(stub.pid)))

    def due(
        self,
        now: float,
        identify: Callable[[int], Stub | None],
        cpu_s: Callable[[int], float],
    ) -> list[Stub]:
        """Those that are to be ended now; `identify` tells which stub a process is, if any."""
        idle = []
        for stub, (judged_at, cpu_before) in list(self.waiting.items()):
            if now < judged_at:
                continue
            del self.waiting[stub]
            if identify(stub.pid) != stub:
                continue
            if cpu_s(stub.pid) - cpu_before > _IDLE_SHARE * _GRACE_S:
                self.add([stub], now, cpu_s)
            else:
                idle.append(stub)
        return idle
