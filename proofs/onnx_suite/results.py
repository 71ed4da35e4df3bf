"""How far a model came on its way to a served answer."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

__all__ = ["Reached", "Result"]


class Reached(IntEnum):
    """How far a model came; each step is only tried after the one before."""

    FOUND = 0
    COMPUTED = 1
    ADDED = 2
    SERVED = 3
    EQUAL = 4
    IDENTICAL = 5


@dataclass(frozen=True)
class Result:
    """One model: how far it came, and why not further. `answers` counts requests that agreed."""

    name: str
    reached: Reached
    cause: str = ""
    answers: int = 0
