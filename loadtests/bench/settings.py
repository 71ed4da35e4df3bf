"""How a target is measured, whatever the plan."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from loadtests.bench.block import Block
from loadtests.judging.gates import Gates
from trimaran.system.errors import UsageError

__all__ = ["Settings", "require_carried"]


@dataclass(frozen=True)
class Settings:
    """How it is measured; `tell` is given each block when it is done."""

    seconds: float
    seed: int
    connections: int
    gates: Gates
    most_rate: float
    """What the generator carries, in requests per second."""
    tell: Callable[[Block], None] = field(default=lambda block: None)

    def __post_init__(self) -> None:
        """Raise `UsageError` for what cannot be."""
        if not 0 < self.seconds < float("inf"):
            raise UsageError(f"--duration is {self.seconds:g} s; it is above 0")
        if self.connections < 1:
            raise UsageError(f"--connections is {self.connections}; it is at least 1")


def require_carried(settings: Settings, rate: float) -> None:
    """Raise `UsageError` for a rate that the generator cannot send."""
    if rate <= 0:
        raise UsageError(f"--rate is {rate:g}; it is above 0")
    if rate > settings.most_rate:
        raise UsageError(
            f"--rate is {rate:,.0f}; the generator carries {settings.most_rate:,.0f} requests/s "
            "with these payloads on this machine; ask for less, or run several generators"
        )
