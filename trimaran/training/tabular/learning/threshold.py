"""From a probability to a decision."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["choose_threshold", "decide"]

_GRID = np.round(np.arange(0.05, 0.951, 0.01), 2)
_SLACK = 0.005

Flags = npt.NDArray[np.bool_]
Probabilities = npt.NDArray[np.float32]


def decide(probability: Probabilities, threshold: float) -> Flags:
    """Positive from the threshold on, compared as float32, as the served model does."""
    return np.asarray(probability, np.float32) >= np.float32(threshold)


def choose_threshold(target: Flags, probability: Probabilities) -> float:
    """Of the thresholds 0.05 to 0.95 whose F1 is within 0.005 of the best, the nearest to 0.5.

    F1 has plateaus in the threshold; their middle holds on other rows, and their best point by a
    row or two does not. `target` is bool `[rows]`, of the validation part.
    """
    positives = int(target.sum())
    scores = []
    for threshold in _GRID:
        decided = decide(probability, threshold)
        hits = int((decided & target).sum())
        found = int(decided.sum())
        scores.append(2 * hits / (found + positives) if found + positives else 0.0)
    f1 = np.array(scores)
    good = _GRID[f1 >= f1.max() - _SLACK]
    return float(good[np.argmin(np.abs(good - 0.5))])
