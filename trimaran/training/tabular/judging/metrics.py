"""How good probabilities and decisions are on rows whose outcome is known."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import average_precision_score, log_loss, roc_auc_score

from trimaran.training.tabular.learning.threshold import Flags, Probabilities, decide

__all__ = [
    "METRICS",
    "METRIC_NAMES",
    "Confusion",
    "Scores",
    "always_yes_f1",
    "calibration",
    "expected_calibration_error",
    "f1_interval",
    "score",
]

METRIC_NAMES = {
    "f1": "F1",
    "precision": "precision",
    "recall": "recall",
    "roc_auc": "ROC AUC",
    "pr_auc": "PR AUC",
    "log_loss": "log loss",
    "brier": "Brier",
    "ece": "ECE",
}
"""Every metric of `Scores`, by its name there, as people write it."""
METRICS = tuple(METRIC_NAMES)
_BINS = 10
_RESAMPLES = 10_000


@dataclass(frozen=True)
class Confusion:
    """Rows by what they are and what was decided."""

    true_negative: int
    false_positive: int
    false_negative: int
    true_positive: int

    @classmethod
    def of(cls, target: Flags, decided: Flags) -> Confusion:
        """Count two bool `[rows]`."""
        return cls(
            int((~target & ~decided).sum()),
            int((~target & decided).sum()),
            int((target & ~decided).sum()),
            int((target & decided).sum()),
        )

    @property
    def rows(self) -> int:
        """All of them."""
        return sum(dataclasses.astuple(self))

    @property
    def precision(self) -> float:
        """The share of decided positives that are; 0 where none was decided."""
        return _share(self.true_positive, self.true_positive + self.false_positive)

    @property
    def recall(self) -> float:
        """The share of positives that were found; 0 where there is none."""
        return _share(self.true_positive, self.true_positive + self.false_negative)

    @property
    def f1(self) -> float:
        """The harmonic mean of the two: 2 tp / (2 tp + fp + fn)."""
        wrong = self.false_positive + self.false_negative
        return _share(2 * self.true_positive, 2 * self.true_positive + wrong)


@dataclass(frozen=True)
class Scores:
    """Every metric on one part, at one threshold."""

    rows: int
    positives: int
    threshold: float
    f1: float
    precision: float
    recall: float
    roc_auc: float
    pr_auc: float
    """Average precision: the step-wise area under precision over recall."""
    log_loss: float
    """In nats per row."""
    brier: float
    """The mean squared error of the probability."""
    ece: float
    """The expected calibration error over ten bins of as many rows."""
    confusion: Confusion

    def as_dict(self) -> dict[str, Any]:
        """As JSON takes it."""
        return dataclasses.asdict(self)


def score(target: Flags, probability: Probabilities, threshold: float) -> Scores:
    """Score probabilities `[rows]` of rows of both outcomes."""
    confusion = Confusion.of(target, decide(probability, threshold))
    exact = probability.astype(np.float64)
    return Scores(
        rows=len(target),
        positives=int(target.sum()),
        threshold=threshold,
        f1=confusion.f1,
        precision=confusion.precision,
        recall=confusion.recall,
        roc_auc=float(roc_auc_score(target, exact)),
        pr_auc=float(average_precision_score(target, exact)),
        log_loss=float(log_loss(target, exact, labels=[False, True])),
        brier=float(np.mean((exact - target) ** 2)),
        ece=expected_calibration_error(target, probability),
        confusion=confusion,
    )


def calibration(
    target: Flags, probability: Probabilities, bins: int = _BINS
) -> list[tuple[float, float, int]]:
    """For bins of as many rows, from low to high: mean probability, positive share, rows.

    Rows of equal probability may fall into two bins; the sort is stable.
    """
    order = np.argsort(probability, kind="stable")
    return [
        (float(probability[part].mean(dtype=np.float64)), float(target[part].mean()), len(part))
        for part in np.array_split(order, bins)
        if len(part)
    ]


def expected_calibration_error(target: Flags, probability: Probabilities) -> float:
    """The mean distance of probability and share over the bins of `calibration`, by their rows.

    M. P. Naeini et al., "Obtaining Well Calibrated Probabilities Using Bayesian Binning" (2015),
    with bins of equal mass.
    """
    found = calibration(target, probability)
    return sum(abs(mean - share) * rows for mean, share, rows in found) / len(target)


def f1_interval(confusion: Confusion, seed: int, level: float = 0.95) -> tuple[float, float]:
    """The percentile bootstrap interval of F1, from 10 000 resamples of the rows.

    F1 depends on the four counts alone, and resampling rows with replacement makes those counts
    multinomial, so the counts are drawn and not the rows.
    """
    counts = np.array(dataclasses.astuple(confusion))
    drawn = np.random.default_rng(seed).multinomial(
        counts.sum(), counts / counts.sum(), size=_RESAMPLES
    )
    hits, wrong = drawn[:, 3], drawn[:, 1] + drawn[:, 2]
    f1 = 2 * hits / np.maximum(2 * hits + wrong, 1)
    tail = (1 - level) / 2
    low, high = np.quantile(f1, [tail, 1 - tail])
    return float(low), float(high)


def always_yes_f1(target: npt.NDArray[np.bool_]) -> float:
    """The F1 of deciding positive for every row: 2p / (1 + p), with p the positive share."""
    share = float(target.mean())
    return 2 * share / (1 + share)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
