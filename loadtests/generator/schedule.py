"""When requests are due: a Poisson process laid out in advance."""

from __future__ import annotations

import numpy as np

__all__ = ["poisson_arrivals"]


def poisson_arrivals(rate: float, seconds: float, seed: int) -> np.ndarray:
    """Times in seconds from the start, float64 `[requests]`, ascending, at `rate` per second.

    The same arguments give the same times; there is at least one.
    """
    generator = np.random.default_rng(seed)
    expected = max(rate * seconds, 1.0)
    gaps = generator.exponential(1 / rate, size=int(expected + 10 * expected**0.5 + 10))
    times = np.cumsum(gaps)
    return times[times < seconds] if times[0] < seconds else np.array([seconds / 2])
