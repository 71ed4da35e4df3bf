"""The highest rate at which a promise still holds: doubling, then bisecting."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["highest_rate"]

_RESOLUTION = 1.04
_HALVINGS = 5
_CONFIRMATIONS = 2
_STEP_DOWN = 0.95


def highest_rate(holds: Callable[[float], bool], start: float) -> float | None:
    """The highest rate, to 4 %, that holds, and holds again when it is tried twice more.

    `holds` measures at a rate per second. `None` if it does not hold at 1/32 of `start` either.
    """
    low = start
    for _ in range(_HALVINGS + 1):
        if holds(low):
            break
        low /= 2
    else:
        return None
    high = low * 2
    if low == start:
        while holds(high):
            low, high = high, high * 2
    while high / low > _RESOLUTION:
        middle = (low * high) ** 0.5
        if holds(middle):
            low = middle
        else:
            high = middle
    while low > start / 2**_HALVINGS:
        if all(holds(low) for _ in range(_CONFIRMATIONS)):
            return low
        low *= _STEP_DOWN
    return None
