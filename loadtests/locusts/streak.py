"""When nothing but failures is left, and the load should end."""

from __future__ import annotations

__all__ = ["Streak"]

_LEAST = 10


class Streak:
    """Failures in a row. A run is over at ten of them with no good answer for `patience_s`."""

    def __init__(self, began_s: float, patience_s: float) -> None:
        self._good_s = began_s
        self._patience_s = patience_s
        self._failures = 0

    def add(self, at_s: float, good: bool) -> bool:
        """Another request's end, in order of time; whether the run is over."""
        if good:
            self._good_s = at_s
            self._failures = 0
            return False
        self._failures += 1
        return self._failures >= _LEAST and at_s - self._good_s >= self._patience_s
