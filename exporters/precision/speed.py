"""How fast and how large an artifact is compared with FP32: in turns, in one process."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from trimaran.stats.bootstrap import percentile_interval, resampled

__all__ = ["Cost", "Speedup", "measure_speedup", "median_ratio"]

_RESAMPLES = 2_000
_LEAST_S = 0.02
"""How long a round lasts, so that the clock and a switch of tasks barely count."""


@dataclass(frozen=True)
class Speedup:
    """How many times as fast as FP32: the median over rounds, with its 95 % interval."""

    value: float
    low: float
    high: float
    rows: int
    """Rows in each call."""

    def __str__(self) -> str:
        return f"{self.value:.2f} ({self.low:.2f} to {self.high:.2f})"


@dataclass(frozen=True)
class Cost:
    """The bytes of an artifact and of the FP32 one of the same format, and the ratio of speeds.

    `fp32_size` and `speedup` are `None` where the format is not available in FP32.
    """

    size: int
    fp32_size: int | None
    speedup: Speedup | None = None

    def record(self) -> dict[str, Any]:
        """The figures as they go into a manifest."""
        return asdict(self)


def measure_speedup(
    fp32: Callable[[], object], other: Callable[[], object], rows: int, rounds: int = 15
) -> Speedup:
    """Call both in turns (A B, B A, ...) and compare the seconds of each round.

    Each is called as often in a round as fills 20 ms; the first round only warms up.
    """
    calls = [_calls_that_fill(run) for run in (fp32, other)]
    seconds: tuple[list[float], list[float]] = ([], [])
    for turn in range(-1, rounds):
        order = (0, 1) if turn % 2 == 0 else (1, 0)
        for which in order:
            taken = _seconds_per_call((fp32, other)[which], calls[which])
            if turn >= 0:
                seconds[which].append(taken)
    return median_ratio(*seconds, rows)


def median_ratio(fp32_s: Sequence[float], other_s: Sequence[float], rows: int) -> Speedup:
    """The median of the rounds' ratios, and its bootstrap interval over rounds."""
    ratios = np.asarray(fp32_s) / np.asarray(other_s)
    drawn = resampled(ratios, _RESAMPLES, np.random.default_rng(0))
    low, high = percentile_interval(np.median(drawn, axis=1))
    return Speedup(float(np.median(ratios)), low, high, rows)


def _calls_that_fill(run: Callable[[], object]) -> int:
    run()
    return max(1, round(_LEAST_S / max(_seconds_per_call(run, 1), 1e-6)))


def _seconds_per_call(run: Callable[[], object], calls: int) -> float:
    began = time.perf_counter()
    for _ in range(calls):
        run()
    return (time.perf_counter() - began) / calls
