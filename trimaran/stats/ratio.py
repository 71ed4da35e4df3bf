"""How two targets compare that were measured in turns: a ratio with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trimaran.stats.bootstrap import percentile_interval, resampled

__all__ = ["Ratio", "paired_ratio"]

_RESAMPLES = 10_000


@dataclass(frozen=True)
class Ratio:
    """A ratio with the bounds of its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.2f} ({self.low:.2f} to {self.high:.2f})"


def paired_ratio(ours: Sequence[float], theirs: Sequence[float], seed: int = 0) -> Ratio:
    """The geometric mean of the rounds' ratios `ours / theirs`, and a bootstrap over rounds.

    Each round measures both, one right after the other, so what slows the machine slows both.
    """
    logs = np.log(np.asarray(ours, np.float64) / np.asarray(theirs, np.float64))
    means = resampled(logs, _RESAMPLES, np.random.default_rng(seed)).mean(axis=1)
    low, high = np.exp(percentile_interval(means))
    return Ratio(float(np.exp(logs.mean())), float(low), float(high))
