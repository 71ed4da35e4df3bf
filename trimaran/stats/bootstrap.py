"""The bootstrap: the interval of any statistic of a sample, and of a ratio, from resamples.

    generator = np.random.default_rng(seed)
    means = resampled(values, 10_000, generator).mean(axis=1)
    low, high = percentile_interval(means)

B. Efron and R. Tibshirani, "An Introduction to the Bootstrap" (1993), chapters 13 and 14.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trimaran.stats.intervals import Estimate

__all__ = [
    "Ratio",
    "basic_interval",
    "median_estimate",
    "paired_difference",
    "paired_ratio",
    "percentile_interval",
    "resampled",
    "resampled_counts",
]

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]

_TAIL = 0.025
"""Beyond each end of a 95 % interval."""


_RESAMPLES = 10_000
_PAIRED_RESAMPLES = 1_000
"""Of rows, for statistics that may take a millisecond each."""


def resampled(values: npt.ArrayLike, resamples: int, generator: np.random.Generator) -> Floats:
    """Draw `values` `[n]` with replacement: float64 `[resamples, n]`."""
    sample = np.asarray(values, np.float64)
    return generator.choice(sample, size=(resamples, len(sample)))


def resampled_counts(
    counts: npt.ArrayLike, resamples: int, generator: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Draw rows that fall into bins as `counts` `[bins]` do: int64 `[resamples, bins]`.

    Resampling rows makes their counts multinomial, so the counts are drawn instead of the rows.
    """
    rows = np.asarray(counts, np.float64)
    return generator.multinomial(round(rows.sum()), rows / rows.sum(), resamples)


def percentile_interval(statistics: npt.ArrayLike, among: int = 1) -> tuple[float, float]:
    """The 95 % interval between percentiles of a statistic of each resample `[resamples]`.

    It is wider where it is one `among` several, so that all of them hold at once (Bonferroni).
    """
    tail = _TAIL / among
    low, high = np.quantile(np.asarray(statistics, np.float64), (tail, 1 - tail))
    return float(low), float(high)


def basic_interval(value: float, statistics: npt.ArrayLike) -> tuple[float, float]:
    """The 95 % interval of `value`: the percentile interval, mirrored at `value`.

    It suits a statistic that chance makes larger, such as a distance between two samples: resamples
    lie as much farther from the sample as the sample lies from the truth.
    """
    low, high = percentile_interval(statistics)
    return 2 * value - high, 2 * value - low


def median_estimate(values: Sequence[float], seed: int = 0) -> Estimate:
    """The median of `values`, at least one, with the percentile interval of resampled medians."""
    drawn = resampled(values, _RESAMPLES, np.random.default_rng(seed))
    return Estimate(float(np.median(values)), *percentile_interval(np.median(drawn, axis=1)))


def paired_difference(
    ours: Callable[[Rows], float],
    theirs: Callable[[Rows], float],
    rows: int,
    seed: int = 0,
    *,
    among: int = 1,
) -> Estimate:
    """How much more `ours` is than `theirs`, statistics of the same `rows` rows.

    Both get the numbers of the rows to take, int64 `[rows]`, and each resample is the same rows for
    both. So what makes a row hard for both makes the percentile interval no wider, which is one
    `among` several that hold at once.
    """
    generator, every = np.random.default_rng(seed), np.arange(rows)
    drawn = (generator.integers(rows, size=rows) for _ in range(_PAIRED_RESAMPLES))
    differences = [ours(some) - theirs(some) for some in drawn]
    return Estimate(ours(every) - theirs(every), *percentile_interval(differences, among))


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
