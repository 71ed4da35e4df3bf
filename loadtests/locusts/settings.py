"""The settings of a `trimaran locust` run: its users over time, and Locust's command line."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from loadtests.locusts.calls import PROTOCOLS
from loadtests.locusts.choice import DEFAULT_TIMEOUT_S
from trimaran.system.endpoint import Endpoint, host_and_port
from trimaran.system.errors import UsageError

__all__ = [
    "CURVES",
    "LEAST_SECONDS",
    "LEAST_USERS",
    "STOP_TIMEOUT_S",
    "Curve",
    "Settings",
    "soak",
    "spike",
    "step",
]

STOP_TIMEOUT_S = math.ceil(DEFAULT_TIMEOUT_S) + 2
"""How long users may take to end: by then every request is answered or has failed."""

Curve = Callable[[int, float, float], int]
"""The users at a time: of the most users, the run's seconds, and the seconds since its start."""

LEAST_SECONDS, LEAST_USERS = 5, 2
"""Locust reads a shape once a second, and one user has no shape."""

_STAIRS = 5
_SPIKE = (0.4, 0.6)
_SPIKE_BASE = 0.2
_SOAK_RAMP = 0.1
_ROUNDING = 1e-9

_PATIENCE_S = 3.0
_FOLDER = Path(__file__).parent.parent


def step(users: int, seconds: float, at: float) -> int:
    """Five stairs of equal length (fewer for fewer users), the last with all users."""
    stairs = min(_STAIRS, users)
    stair = min(int(max(at, 0.0) / seconds * stairs), stairs - 1)
    return math.ceil(users * (stair + 1) / stairs)


def spike(users: int, seconds: float, at: float) -> int:
    """A fifth of the users, all of them for the middle fifth of the time, and a fifth again."""
    begins, ends = _SPIKE
    if begins <= at / seconds < ends:
        return users
    return max(1, round(users * _SPIKE_BASE))


def soak(users: int, seconds: float, at: float) -> int:
    """Up for a tenth of the time, all users for eight tenths, and down for the last tenth."""
    passed = at / seconds
    share = min(1.0, passed / _SOAK_RAMP, (1 - passed) / _SOAK_RAMP)
    return max(1, math.ceil(users * share - _ROUNDING))


CURVES: Mapping[str, Curve] = {"step": step, "spike": spike, "soak": soak}


@dataclass(frozen=True)
class Settings:
    """One run's users. Times in seconds, rates per second."""

    model: str
    protocol: str
    users: int
    seconds: float
    """An integer: Locust counts whole seconds."""
    rate: float | None = None
    shape: str | None = None
    spawn_rate: float | None = None
    seed: int = 0
    processes: int = 1

    def __post_init__(self) -> None:
        """Raise `UsageError` for settings that make no run."""
        if self.protocol not in PROTOCOLS:
            raise UsageError(f"there is no protocol {self.protocol!r}; choose {_any(PROTOCOLS)}")
        if self.users < 1:
            raise UsageError(f"--users is {self.users}; give at least 1")
        if self.seconds < 1 or self.seconds != int(self.seconds):
            raise UsageError(f"--duration is {self.seconds:g} s; give whole seconds such as 30s")
        if not 1 <= self.processes <= self.users:
            raise UsageError(
                f"--processes is {self.processes}; give at least 1, and no more than --users "
                f"({self.users})"
            )
        if self.seed < 0:
            raise UsageError(f"--seed is {self.seed}; a seed is 0 or more")
        for name, value in (("--rate", self.rate), ("--spawn-rate", self.spawn_rate)):
            if value is not None and not 0 < value < math.inf:
                raise UsageError(f"{name} is {value}; give a number above 0")
        if self.shape is None:
            return
        if self.shape not in CURVES:
            raise UsageError(f"there is no shape {self.shape!r}; choose {_any(tuple(CURVES))}")
        if self.spawn_rate is not None:
            raise UsageError("--spawn-rate and --shape exclude each other: a shape has its times")
        if self.users < LEAST_USERS or self.seconds < LEAST_SECONDS:
            raise UsageError(
                f"--shape {self.shape} needs at least {LEAST_USERS} users and {LEAST_SECONDS} s"
            )

    @property
    def ramp_s(self) -> float:
        """Until all users have started: Locust starts some at once, then more each second."""
        per_second = self.spawn_rate or self.users
        return math.ceil(self.users / per_second) - 1.0

    @property
    def load(self) -> str:
        """A description of the users."""
        words = f"{self.users} user{'s' if self.users > 1 else ''}"
        if self.shape:
            words = f"{self.shape}, up to {words}"
        return f"{words}, {self.rate:g} requests/s asked" if self.rate else words

    def command(self, endpoint: Endpoint, directory: Path, master_port: int) -> Sequence[str]:
        """Locust without its web page. It finds the prepared requests in `directory`."""
        files = [_FOLDER / "locustfile.py"]
        if self.shape:
            files.append(_FOLDER / "shapes" / f"{self.shape}.py")
        options = {
            "--locustfile": ",".join(map(str, files)),
            "--host": endpoint.url(),
            "--grpc-port": host_and_port(endpoint.grpc)[1],
            "--model": self.model,
            "--protocol": self.protocol,
            "--users": self.users,
            "--spawn-rate": self.spawn_rate or self.users,
            "--run-time": f"{self.seconds:.0f}s",
            "--stop-timeout": STOP_TIMEOUT_S,
            "--ca": endpoint.ca or "",
            "--target-rate": self.rate or 0,
            "--request-timeout": DEFAULT_TIMEOUT_S,
            "--give-up-after": _PATIENCE_S,
            "--run-directory": directory,
            "--html": directory / "locust.html",
            "--exit-code-on-error": 0,
        }
        if self.processes > 1:
            options |= {
                "--processes": self.processes,
                "--master-bind-host": "127.0.0.1",
                "--master-bind-port": master_port,
                "--master-port": master_port,
            }
        given = [f"{name}={value}" for name, value in options.items()]
        return [sys.executable, "-P", "-m", "locust", "--headless", "--only-summary", *given]


def _any(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"
