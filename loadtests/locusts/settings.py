"""What `trimaran load` was asked for, and the command line of Locust that it comes to."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from loadtests.locusts.calls import PROTOCOLS
from loadtests.locusts.choice import DEFAULT_TIMEOUT_S
from loadtests.shapes.curves import CURVES, LEAST_SECONDS, LEAST_USERS
from trimaran.system.errors import UsageError
from trimaran.system.ports import Ports

__all__ = ["STOP_TIMEOUT_S", "Settings"]

STOP_TIMEOUT_S = math.ceil(DEFAULT_TIMEOUT_S) + 2
"""How long users may take to end: every request is answered, or has failed, before that."""

_PATIENCE_S = 3.0
_FOLDER = Path(__file__).parent.parent


@dataclass(frozen=True)
class Settings:
    """One run's users. Times in seconds, rates per second."""

    model: str
    protocol: str
    users: int
    seconds: int
    rate: float | None = None
    shape: str | None = None
    spawn_rate: float | None = None
    seed: int = 0
    processes: int = 1

    def __post_init__(self) -> None:
        """Raises `UsageError` for what makes no run."""
        if self.protocol not in PROTOCOLS:
            raise UsageError(f"there is no protocol {self.protocol!r}; choose {_any(PROTOCOLS)}")
        if self.users < 1:
            raise UsageError(f"--users is {self.users}; give at least 1")
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
            raise UsageError("--spawn-rate and --shape exclude each other: a shape says when")
        if self.users < LEAST_USERS or self.seconds < LEAST_SECONDS:
            raise UsageError(
                f"--shape {self.shape} needs at least {LEAST_USERS} users and {LEAST_SECONDS} s"
            )

    @property
    def ramp_s(self) -> float:
        """Until all users are there, as Locust starts them: some at once, then each second."""
        per_second = self.spawn_rate or self.users
        return math.ceil(self.users / per_second) - 1.0

    @property
    def load(self) -> str:
        """In words."""
        words = f"{self.users} user{'s' if self.users > 1 else ''}"
        if self.shape:
            words = f"{self.shape}, up to {words}"
        return f"{words}, {self.rate:g} requests/s asked" if self.rate else words

    def command(self, ports: Ports, directory: Path, master_port: int) -> Sequence[str]:
        """Locust without its web page. It finds the prepared requests in `directory`."""
        files = [_FOLDER / "locustfile.py"]
        if self.shape:
            files.append(_FOLDER / "shapes" / f"{self.shape}.py")
        options = {
            "--locustfile": ",".join(map(str, files)),
            "--host": f"http://{ports.host}:{ports.http}",
            "--grpc-port": ports.grpc,
            "--model": self.model,
            "--protocol": self.protocol,
            "--users": self.users,
            "--spawn-rate": self.spawn_rate or self.users,
            "--run-time": f"{self.seconds}s",
            "--stop-timeout": STOP_TIMEOUT_S,
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
