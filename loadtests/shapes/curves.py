"""How many users there are at each moment of a run, as pure functions."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

__all__ = ["CURVES", "LEAST_SECONDS", "LEAST_USERS", "Curve", "soak", "spike", "step"]

Curve = Callable[[int, float, float], int]
"""Of the most users, the whole run's seconds and the seconds since its start, the users then."""

LEAST_SECONDS, LEAST_USERS = 5, 2
"""Locust looks at a shape once a second, and one user has no shape."""

_STAIRS = 5
_SPIKE = (0.4, 0.6)
_SPIKE_BASE = 0.2
_SOAK_RAMP = 0.1
_ROUNDING = 1e-9


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
