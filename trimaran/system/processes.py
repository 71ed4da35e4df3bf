"""What `/proc` tells of a server's child processes, which Triton itself does not tell."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "Stub",
    "age_s",
    "children",
    "cpu_s",
    "identify_stub",
    "is_zombie",
    "own_cpu_s",
    "resident_bytes",
    "shared_memory",
    "start_time",
]

_SHARED_MEMORY = "/dev/shm/triton_"  # noqa: S108 - Triton's own place and prefix
_STUB_EXECUTABLE = b"triton_python_backend_stub"


@dataclass(frozen=True)
class Stub:
    """A process in which one instance of a Python model runs."""

    pid: int
    model: str
    version: int
    instance: str


def children(pid: int) -> set[int]:
    """The direct children of a process, dead ones that nobody waited for included."""
    found: set[int] = set()
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            found.update(int(child) for child in (task / "children").read_text().split())
    except (FileNotFoundError, ProcessLookupError):
        pass
    return found


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


def is_zombie(pid: int) -> bool:
    """Whether a process is dead and its parent has not waited for it."""
    return _stat(pid)[:1] == ["Z"]


def start_time(pid: int) -> str:
    """When a process began, in clock ticks since boot; empty if there is none.

    Together with the process id it names one process for ever.
    """
    fields = _stat(pid)
    return fields[19] if len(fields) > 19 and fields[0] != "Z" else ""


def cpu_s(pid: int) -> float:
    """CPU seconds that a process and everything below it have used, in all their threads.

    Of children that ended too, once they were waited for.
    """
    fields = _stat(pid)
    own = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK") if fields else 0.0
    return own + sum(map(cpu_s, children(pid)))


def own_cpu_s(pid: int) -> float:
    """CPU seconds that a process itself has used, in all its threads."""
    fields = _stat(pid)
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK") if fields else 0.0


def resident_bytes(pid: int) -> int:
    """The memory that a process has in RAM, shared pages included."""
    fields = _stat(pid)
    return int(fields[21]) * os.sysconf("SC_PAGE_SIZE") if fields else 0


def age_s() -> float:
    """Seconds since this process was started, the interpreter's own start included."""
    ticks = int(start_time(os.getpid()))
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")


def _stat(pid: int) -> list[str]:
    """The fields of `/proc/<pid>/stat` after the command's name, the state first."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return text.rpartition(")")[2].split()
