"""The circumstances of a measurement: clocks, cores, stolen time, versions."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from loadtests.generator.priority import may_go_first

__all__ = ["Moment", "circumstances", "placement", "since"]

_PACKAGES = ("onnxruntime", "numpy", "tritonclient")
_STEP_S = 0.1


@dataclass(frozen=True)
class Moment:
    """The machine's clocks and counters at one time."""

    wall_s: float
    monotonic_s: float
    boot_s: float
    stolen_ticks: int
    ticks: int

    @classmethod
    def now(cls) -> Moment:
        """Read all of them."""
        fields = [int(field) for field in Path("/proc/stat").read_text().split("\n")[0].split()[1:]]
        return cls(
            time.time(),
            time.clock_gettime(time.CLOCK_MONOTONIC),
            time.clock_gettime(time.CLOCK_BOOTTIME),
            fields[7] if len(fields) > 7 else 0,
            sum(fields[:8]),
        )


@dataclass(frozen=True)
class Since:
    """The events on the machine between two moments."""

    seconds: float
    suspended_s: float
    """It slept, which the monotonic clock does not count."""
    stepped_s: float
    """The wall clock was set; latencies are taken from another clock, and are not affected."""
    stolen: float
    """The share of its CPU time that the host gave to other guests, 0 to 1."""


def since(earlier: Moment, later: Moment) -> Since:
    """The difference of two moments."""
    seconds = later.monotonic_s - earlier.monotonic_s
    suspended = later.boot_s - earlier.boot_s - seconds
    stepped = later.wall_s - earlier.wall_s - (seconds + suspended)
    ticks = later.ticks - earlier.ticks
    return Since(
        seconds,
        suspended if suspended > _STEP_S else 0.0,
        stepped if abs(stepped) > _STEP_S else 0.0,
        (later.stolen_ticks - earlier.stolen_ticks) / ticks if ticks else 0.0,
    )


def placement(pid: int | None) -> str:
    """Which cores the server and the generator may use."""
    own = os.sched_getaffinity(0)
    if pid is None:
        return f"generator on cores {_cores(own)}, server on another machine or not known"
    try:
        theirs = os.sched_getaffinity(pid)
    except OSError:
        return f"generator on cores {_cores(own)}"
    if own == theirs:
        return f"server and generator share cores {_cores(own)}"
    return f"server on cores {_cores(theirs)}, generator on cores {_cores(own)}"


def circumstances(pid: int | None, past: Since, seed: int) -> Mapping[str, str]:
    """The circumstances that a reader of the report must know, by name."""
    found = {
        "placement": placement(pid),
        "generator's priority": "real-time" if may_go_first() else "as any process",
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Linux {platform.release()}",
        "stolen by the host": f"{past.stolen:.1%} of the CPU time",
        "versions": ", ".join([f"Python {platform.python_version()}", *_versions()]),
        "seed": str(seed),
        "ended": time.strftime("%Y-%m-%d %H:%M:%S %Z"),
    }
    if past.stepped_s:
        found["clock"] = (
            f"the wall clock was set by {past.stepped_s:+.1f} s meanwhile; latencies are not "
            "affected"
        )
    return found


def _versions() -> list[str]:
    found = []
    for name in _PACKAGES:
        with suppress(PackageNotFoundError):
            found.append(f"{name} {version(name)}")
    return found


def _cores(cores: set[int]) -> str:
    return ",".join(map(str, sorted(cores)))
