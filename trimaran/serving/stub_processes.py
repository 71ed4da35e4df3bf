"""Triton's Python stubs as processes: recognised, found dead, and left behind."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

__all__ = [
    "Deaths",
    "Leftovers",
    "Stub",
    "StubWatch",
    "identify_stub",
    "shared_memory",
    "short_of_stubs",
]

_SHARED_MEMORY = "/dev/shm/triton_"  # noqa: S108 - Triton's own place and prefix
_STUB_EXECUTABLE = b"triton_python_backend_stub"
_GRACE_S = 5.0
_IDLE_SHARE = 0.01
"""Of a core: what a stub that answers nobody stays below."""


@dataclass(frozen=True)
class Stub:
    """A process in which one instance of a Python model runs."""

    pid: int
    model: str
    version: int
    instance: str


def identify_stub(pid: int) -> Stub | None:
    """What a stub process serves, by its command line; `None` for any other process.

    That is the stub, `<model>/<version>/<file>`, four words on shared memory and the parent, the
    Python backend's directory, a handle, and the instance's name.
    """
    try:
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError):
        return None
    if len(arguments) < 9 or not arguments[0].endswith(_STUB_EXECUTABLE):
        return None
    version = Path(os.fsdecode(arguments[1])).parent
    if not version.name.isdecimal():
        return None
    return Stub(pid, version.parent.name, int(version.name), os.fsdecode(arguments[8]))


def shared_memory(pid: int) -> set[Path]:
    """The shared memory that a tritonserver holds for its stubs, as files."""
    try:
        lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return set()
    names = (line.split()[-1] for line in lines if _SHARED_MEMORY in line)
    return {Path(name) for name in names if name.startswith(_SHARED_MEMORY)}


@dataclass(frozen=True)
class Deaths:
    """Stubs found dead, and dead processes that were never seen alive."""

    stubs: tuple[Stub, ...] = ()
    strangers: tuple[int, ...] = ()


@dataclass
class StubWatch:
    """Tells dead stubs from those that ended because Triton asked them to.

    Triton waits for a stub that it ends, and not for one that was killed, which therefore stays a
    zombie: one that is seen twice is dead.
    """

    known: dict[int, Stub] = field(default_factory=dict)
    suspects: set[int] = field(default_factory=set)
    reported: set[int] = field(default_factory=set)

    def observe(self, living: Mapping[int, Stub], zombies: Iterable[int]) -> Deaths:
        """What this look finds dead: a stub is told once, a stranger as long as it is there."""
        zombies = set(zombies)
        present = living.keys() | zombies
        self.known = {p: s for p, s in {**self.known, **living}.items() if p in present}
        dead = zombies & self.suspects
        fresh = sorted(dead & self.known.keys() - self.reported)
        self.suspects = zombies
        self.reported = (self.reported | set(fresh)) & zombies
        return Deaths(
            tuple(self.known[pid] for pid in fresh), tuple(sorted(dead - self.known.keys()))
        )


def short_of_stubs(
    living: Iterable[Stub], ready: Iterable[tuple[str, int]], instances: Mapping[str, int]
) -> list[str]:
    """The models with fewer living stubs than instances in a version that Triton calls ready.

    `instances` has each model that runs in stubs; others, such as ensembles, are left alone.
    """
    alive = Counter((stub.model, stub.version) for stub in living)
    return sorted({m for m, v in ready if m in instances and alive[m, v] < instances[m]})


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
