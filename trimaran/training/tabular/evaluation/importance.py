"""Permutation importance: how much worse a model gets when one field's values are shuffled.

L. Breiman, "Random Forests" (2001), section 10. The fields of the table are shuffled, not the
features, so columns derived from a field change with it. Fields with the same information replace
one another, so each looks less important than they are together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

__all__ = ["Importance", "permutation_importance"]

_REPEATS = 5


@dataclass(frozen=True)
class Importance:
    """The mean and the standard deviation over the permutations of one field."""

    field: str
    loss_rise: float
    """The rise of the loss."""
    loss_rise_sd: float
    score_fall: float
    """The fall of the score, of which more is better."""
    score_fall_sd: float


def permutation_importance(
    measured: Callable[[pd.DataFrame], tuple[float, float]],
    frame: pd.DataFrame,
    fields: Sequence[str],
    seed: int,
) -> list[Importance]:
    """Each field's importance for the rows of `frame`, the largest rise of the loss first.

    `measured` gives the loss and the score of rows in the order of `frame`.
    """
    generator = np.random.default_rng(seed)
    loss, score = measured(frame)
    found = []
    for field in fields:
        changes = []
        movable = _movable(frame, field, fields)
        for _ in range(_REPEATS):
            permuted_loss, permuted_score = measured(_permuted(frame, field, movable, generator))
            changes.append((permuted_loss - loss, score - permuted_score))
        means, spreads = np.mean(changes, axis=0), np.std(changes, axis=0, ddof=1)
        found.append(
            Importance(
                field, float(means[0]), float(spreads[0]), float(means[1]), float(spreads[1])
            )
        )
    return sorted(found, key=lambda one: (-one.loss_rise, one.field))


def _movable(frame: pd.DataFrame, field: str, fields: Sequence[str]) -> npt.NDArray[np.int64]:
    """The rows among which a field's values may move.

    A row without any other field keeps its value, since it could get a missing one, and a record
    without any field is refused.
    """
    if frame[field].notna().all():
        return np.arange(len(frame))
    others = [name for name in fields if name != field]
    return np.flatnonzero(frame[others].notna().any(axis=1))


def _permuted(
    frame: pd.DataFrame, field: str, movable: npt.NDArray[np.int64], generator: np.random.Generator
) -> pd.DataFrame:
    shuffled = frame[field].to_numpy(copy=True)
    shuffled[movable] = shuffled[movable][generator.permutation(len(movable))]
    permuted = frame.copy()
    permuted[field] = shuffled
    return permuted
