"""A metric over several trainings: its mean, and how much it differs between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from trimaran.training.tabular.judging.metrics import METRICS

__all__ = ["Spread", "spread", "spreads"]


@dataclass(frozen=True)
class Spread:
    """The mean and the sample standard deviation, which divides by one less than the count."""

    mean: float
    sd: float


def spread(values: Sequence[float]) -> Spread:
    """Of two values or more."""
    return Spread(float(np.mean(values)), float(np.std(values, ddof=1)))


def spreads(scores: Sequence[Mapping[str, Any]]) -> dict[str, Spread]:
    """Of each metric, over scores by metric of two trainings or more."""
    return {name: spread([float(each[name]) for each in scores]) for name in METRICS}
