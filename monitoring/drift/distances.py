"""Distances between two distributions over the same bins, and how sure they are.

The same formulas stand as recording rules in `prometheus/rules/drift.yml`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

__all__ = ["bootstrap", "jensen_shannon", "population_stability", "shares"]

Counts = npt.NDArray[np.float64]
Shares = npt.NDArray[np.float64]

_SMOOTHING = 0.5
"""Added to each bin (Jeffreys' prior), so that an empty one is no infinite surprise."""
_RESAMPLES = 400
_LEVEL = 0.95


def shares(counts: Counts) -> Shares:
    """Of `counts` `[..., bins]`, smoothed, adding up to 1."""
    smoothed = counts + _SMOOTHING
    found: Shares = smoothed / smoothed.sum(axis=-1, keepdims=True)
    return found


def population_stability(found: Shares, expected: Shares) -> npt.NDArray[np.float64]:
    """The population stability index of shares `[..., bins]`: the sum of (p - q) ln(p / q)."""
    index: npt.NDArray[np.float64] = ((found - expected) * np.log(found / expected)).sum(axis=-1)
    return index


def jensen_shannon(found: Shares, expected: Shares) -> npt.NDArray[np.float64]:
    """The Jensen-Shannon distance of shares `[..., bins]`, from 0 to 1: base 2, and its root."""
    middle = (found + expected) / 2
    divergence = (found * np.log2(found / middle) + expected * np.log2(expected / middle)).sum(
        axis=-1
    )
    distance: npt.NDArray[np.float64] = np.sqrt(np.maximum(divergence / 2, 0))
    return distance


def bootstrap(
    counts: Counts,
    reference: Counts,
    distance: Callable[[Shares, Shares], npt.NDArray[np.float64]],
    seed: int = 0,
) -> tuple[float, float]:
    """The 95 % interval of a distance between counts `[bins]`, both of them resampled.

    The basic bootstrap: chance alone sets two samples apart, and a resample is as much farther
    from its sample as the sample is from the truth, so that much is taken off.
    """
    generator = np.random.default_rng(seed)
    value = float(distance(shares(counts), shares(reference)))
    drawn = [
        shares(
            generator.multinomial(round(each.sum()), each / each.sum(), _RESAMPLES).astype(float)
        )
        for each in (counts, reference)
    ]
    tail = (1 - _LEVEL) / 2
    low, high = np.quantile(distance(*drawn), [tail, 1 - tail])
    return max(0.0, 2 * value - float(high)), max(0.0, 2 * value - float(low))
