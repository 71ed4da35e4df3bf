"""Triton's Python stubs as processes: identified, found dead, and left behind."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from trimaran.system.processes import children

__all__ = [
    "IN_TRANSITION",
    "Deaths",
    "Heals",
    "Leftovers",
    "Stub",
    "StubWatch",
    "StuckLoads",
    "Turns",
    "Verdict",
    "identify_stub",
    "judge",
    "orphans_of",
    "shared_memory",
    "short_of_stubs",
]

_SHARED_MEMORY = "/dev/shm/triton_"  # noqa: S108 - Triton's own place and prefix
_STUB_EXECUTABLE = b"triton_python_backend_stub"
IN_TRANSITION = ("LOADING", "UNLOADING")
"""Triton's states of a version that is about to be ready or gone."""
_LOAD_S = 30.0
"""How long a load may go on after one of its stubs died."""
_FIRST_TURN_S = 0.5
_LAST_TURN_S = 60.0
_GRACE_S = 5.0
_IDLE_SHARE = 0.01
"""The share of a core that an idle stub stays below."""


@dataclass(frozen=True)
class Stub:
    """A process in which one instance of a Python model runs."""

    pid: int
    model: str
    version: int
    instance: str


def identify_stub(pid: int) -> Stub | None:
    """Which stub a process is, by its command line; `None` for any other process.

    The command line is the stub, `<model>/<version>/<file>`, the name and two sizes of shared
    memory, the parent, the Python backend's directory, a handle, and the instance's name.
    """
    arguments = _arguments(pid)
    if not arguments:
        return None
    version = Path(os.fsdecode(arguments[1])).parent
    if not version.name.isdecimal():
        return None
    return Stub(pid, version.parent.name, int(version.name), os.fsdecode(arguments[8]))


def orphans_of(server_pid: int) -> dict[int, Path]:
    """The stubs that outlived a tritonserver, each with its file in `/dev/shm`.

    A stub names the server that started it. One that lives under the same number is not meant.
    """
    pids = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal())
    found = {pid: arguments for pid in pids if (arguments := _arguments(pid))}
    own = children(server_pid)
    regions = Path(_SHARED_MEMORY)
    return {
        pid: regions.with_name(Path(os.fsdecode(arguments[2])).name)
        for pid, arguments in found.items()
        if arguments[2].startswith(regions.name.encode())
        and arguments[5] == str(server_pid).encode()
        and pid not in own
    }


def _arguments(pid: int) -> list[bytes]:
    """The command line of a stub; empty for any other process."""
    try:
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:  # it is gone, or hidden
        return []
    is_stub = len(arguments) >= 9 and arguments[0].endswith(_STUB_EXECUTABLE)
    return arguments if is_stub else []


def shared_memory(pid: int) -> set[Path]:
    """The files in `/dev/shm` that a tritonserver holds for its stubs."""
    try:
        lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return set()
    names = (line.split()[-1] for line in lines if _SHARED_MEMORY in line)
    return {Path(name) for name in names if name.startswith(_SHARED_MEMORY)}


@dataclass(frozen=True)
class Deaths:
    """Stubs found dead, and dead processes (strangers) that no look has seen alive."""

    stubs: tuple[Stub, ...] = ()
    strangers: tuple[int, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """Dead stubs of versions that should answer, and dead ones that cannot be judged yet."""

    broken: tuple[Stub, ...] = ()
    undecided: tuple[Stub, ...] = ()


def judge(dead: Iterable[Stub], states: Mapping[tuple[str, int], str]) -> Verdict:
    """What dead stubs mean, by Triton's state of each model and version.

    A version in transition is judged later. Triton itself reports one that failed to load.
    """
    found = [(stub, states.get((stub.model, stub.version), "")) for stub in dead]
    return Verdict(
        tuple(stub for stub, state in found if state == "READY"),
        tuple(stub for stub, state in found if state in IN_TRANSITION),
    )


@dataclass
class Heals:
    """Which models need a reload, and which are being reloaded, each apart from the others.

    Triton sends no requests to a stub that a reload has replaced, whether it lives or not.
    """

    due: dict[str, float] = field(default_factory=dict)
    """When the reload of a model may begin."""
    running: dict[str, frozenset[Stub]] = field(default_factory=dict)
    """The stubs that a reload replaces."""
    began: dict[str, float] = field(default_factory=dict)
    """When each reload began."""
    replaced: set[Stub] = field(default_factory=set)
    """The stubs that reloads have replaced, until they are gone."""

    def died(self, stub: Stub) -> None:
        """A stub died. A reload that replaces it anyway is not followed by another."""
        if stub not in self.running.get(stub.model, ()):
            self.due.setdefault(stub.model, 0.0)

    def of_concern(self, stubs: Iterable[Stub]) -> tuple[Stub, ...]:
        """Those of dead stubs to which Triton sends requests."""
        return tuple(stub for stub in stubs if stub not in self.replaced)

    def is_known(self, model: str) -> bool:
        """Whether a model's reload is due or running."""
        return model in self.due or model in self.running

    def ready(self, now: float) -> list[str]:
        """The models whose reload begins now."""
        return [m for m, at in self.due.items() if at <= now and m not in self.running]

    def begin(self, model: str, replaced: Iterable[Stub], now: float) -> None:
        """The reload of a model begins, and replaces these stubs."""
        del self.due[model]
        self.running[model] = frozenset(replaced)
        self.began[model] = now

    def end(self, model: str, retry_at: float | None = None) -> frozenset[Stub]:
        """A reload ended, or is tried again at `retry_at`; the stubs that it was to replace."""
        stubs = self.running.pop(model)
        del self.began[model]
        if retry_at is None:
            self.replaced |= stubs
        else:
            self.due[model] = retry_at
        return stubs

    def doubtful(self, stranger_at: float | None) -> set[str]:
        """The models whose reload may wait for a stub that died after it began.

        `stranger_at` says when the newest dead process was found that belongs to no model yet.
        """
        strange = -1.0 if stranger_at is None else stranger_at
        return {m for m, began in self.began.items() if m in self.due or strange >= began}

    def forget_gone(self, present: Collection[int]) -> None:
        """Forget replaced stubs that are no process any more."""
        self.replaced = {stub for stub in self.replaced if stub.pid in present}


@dataclass
class StubWatch:
    """Distinguishes stubs that died from those that Triton ended.

    Triton waits for a stub that it ends, but not for one that was killed. That one stays a zombie,
    and a zombie that is seen twice is a dead stub.
    """

    known: dict[int, Stub] = field(default_factory=dict)
    suspects: set[int] = field(default_factory=set)
    reported: set[int] = field(default_factory=set)
    explained: set[int] = field(default_factory=set)

    def observe(self, living: Mapping[int, Stub], zombies: Iterable[int]) -> Deaths:
        """The deaths that this look finds: a stub once, a stranger until `explain` was called."""
        zombies = set(zombies)
        present = living.keys() | zombies
        self.known = {p: s for p, s in {**self.known, **living}.items() if p in present}
        dead = zombies & self.suspects
        fresh = sorted(dead & self.known.keys() - self.reported)
        self.suspects = zombies
        self.reported = (self.reported | set(fresh)) & zombies
        self.explained &= zombies
        strangers = dead - self.known.keys() - self.explained
        return Deaths(tuple(self.known[pid] for pid in fresh), tuple(sorted(strangers)))

    def explain(self, strangers: Iterable[int]) -> None:
        """It is known which model these dead processes belonged to."""
        self.explained.update(strangers)

    def not_dead(self) -> set[Stub]:
        """The stubs that live, and those whose death is not certain yet."""
        return {stub for pid, stub in self.known.items() if pid not in self.reported}


def short_of_stubs(
    living: Iterable[Stub], ready: Iterable[tuple[str, int]], instances: Mapping[str, int]
) -> dict[str, int]:
    """The models that lack stubs in a version that Triton reports ready, and how many.

    `instances` has each model that runs in stubs; others, such as ensembles, are ignored.
    """
    alive = Counter((stub.model, stub.version) for stub in living)
    lacking: Counter[str] = Counter()
    for model, version in sorted(ready):
        if model in instances:
            lacking[model] += max(0, instances[model] - alive[model, version])
    return {model: count for model, count in lacking.items() if count}


@dataclass
class StuckLoads:
    """Loads that wait for a stub that is dead: Triton does so for ever."""

    since: dict[str, float] = field(default_factory=dict)
    """From when on a load has been in doubt, by its model."""

    def observe(self, doubtful: Iterable[str], now: float) -> list[str]:
        """The models whose load is stuck, of those whose load lacks a stub at this look."""
        self.since = {model: self.since.get(model, now) for model in sorted(doubtful)}
        return [model for model, since in self.since.items() if now - since > _LOAD_S]


@dataclass
class Turns:
    """When the same strangers are looked into: at once, and then ever more rarely."""

    seen: frozenset[int] = frozenset()
    newest_at: float | None = None
    """When one of them was found; `None` where there are none."""
    due_at: float = 0.0
    wait_s: float = _FIRST_TURN_S

    def is_due(self, strangers: Iterable[int], now: float) -> bool:
        """Whether these are looked into now. A new one begins again."""
        found = frozenset(strangers)
        if found - self.seen:
            self.newest_at = self.due_at = now
            self.wait_s = _FIRST_TURN_S
        self.seen = found
        if not found:
            self.newest_at = None
        if not found or now < self.due_at:
            return False
        self.due_at, self.wait_s = now + self.wait_s, min(2 * self.wait_s, _LAST_TURN_S)
        return True


@dataclass
class Leftovers:
    """The old stubs of healed models, until they are gone.

    Triton unloads a model that lost a stub, but never ends its other stubs. One that was idle for
    the whole grace period has no requests left and may be ended. One that still works gets another
    grace period.
    """

    waiting: dict[Stub, tuple[float, float]] = field(default_factory=dict)
    """When each is checked, and its CPU seconds at the start of its grace period."""

    def add(self, stubs: Iterable[Stub], now: float, cpu_s: Callable[[int], float]) -> None:
        """Add stubs of a model that just got new ones; `cpu_s` reads a process's CPU seconds."""
        for stub in stubs:
            self.waiting.setdefault(stub, (now + _GRACE_S, cpu_s(stub.pid)))

    def due(
        self,
        now: float,
        identify: Callable[[int], Stub | None],
        cpu_s: Callable[[int], float],
    ) -> list[Stub]:
        """The stubs to end now; `identify` says which stub a process is, if any."""
        idle = []
        for stub, (due_at, cpu_before) in list(self.waiting.items()):
            if now < due_at:
                continue
            del self.waiting[stub]
            if identify(stub.pid) != stub:
                continue
            if cpu_s(stub.pid) - cpu_before > _IDLE_SHARE * _GRACE_S:
                self.add([stub], now, cpu_s)
            else:
                idle.append(stub)
        return idle
