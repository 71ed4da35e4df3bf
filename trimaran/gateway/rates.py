"""How often something may happen: a bucket for each key, filled by the second."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass

__all__ = ["Rates"]

_MOST_KEYS = 10_000


@dataclass
class _Bucket:
    tokens: float
    at_s: float


class Rates:
    """Buckets that hold what one second allows. `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: dict[Hashable, _Bucket] = {}

    def wait_s(self, key: Hashable, per_second: int) -> float:
        """Count one for a key, and say how long to wait until it may happen, in seconds."""
        now = self._clock()
        with self._lock:
            if len(self._buckets) >= _MOST_KEYS:
                self._forget_full(now)
            bucket = self._buckets.setdefault(key, _Bucket(per_second, now))
            filled = bucket.tokens + (now - bucket.at_s) * per_second
            bucket.tokens, bucket.at_s = min(filled, per_second) - 1, now
            return max(0.0, -bucket.tokens / per_second)

    def _forget_full(self, now: float) -> None:
        """A bucket that was not asked for a second, and owes nothing, is as a new one."""
        self._buckets = {
            key: bucket
            for key, bucket in self._buckets.items()
            if bucket.tokens < 0 or now - bucket.at_s < 1
        }
