"""From probabilities to decisions, and how good both are on rows with a known outcome."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import average_precision_score, log_loss, roc_auc_score

from trimaran.stats.bootstrap import percentile_interval, resampled_counts

__all__ = [
    "FEWEST_POSITIVES",
    "METRICS",
    "METRIC_NAMES",
    "Confusion",
    "Scores",
    "always_yes_f1",
    "calibration",
    "choose_threshold",
    "decide",
    "expected_calibration_error",
    "f1_interval",
    "score",
    "top_precision",
]

_GRID = np.round(np.arange(0.05, 0.951, 0.01), 2)
_SLACK = 0.005

Flags = npt.NDArray[np.bool_]
Probabilities = npt.NDArray[np.float32]

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
"""Names for people of the metrics of `Scores`."""
METRICS = tuple(METRIC_NAMES)
FEWEST_POSITIVES = 10
"""With fewer positives one mistake more or less changes F1 by several hundredths."""

_BINS = 10
_RESAMPLES = 10_000


def decide(probability: Probabilities, threshold: float) -> Flags:
    """Positive at the threshold or above, compared as float32, as in the served model."""
    return np.asarray(probability, np.float32) >= np.float32(threshold)


def choose_threshold(target: Flags, probability: Probabilities) -> float:
    """Of the thresholds 0.05 to 0.95 whose F1 is within 0.005 of the best, the nearest to 0.5.

    F1 has plateaus over the threshold: their middle is also good on other rows, while the best
    point is often better by only a row or two. `target` is bool `[rows]`, of the validation part.
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


@dataclass(frozen=True)
class Confusion:
    """Numbers of rows, by outcome and decision."""

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
        """All rows."""
        return sum(dataclasses.astuple(self))

    @property
    def precision(self) -> float:
        """The share of decided positives that are positive; 0 where none was decided."""
        return _share(self.true_positive, self.true_positive + self.false_positive)

    @property
    def recall(self) -> float:
        """The share of positives that were found; 0 where there is none."""
        return _share(self.true_positive, self.true_positive + self.false_negative)

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall: 2 tp / (2 tp + fp + fn)."""
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
    """The expected calibration error over ten bins with equally many rows."""
    confusion: Confusion

    def as_dict(self) -> dict[str, Any]:
        """As JSON."""
        return dataclasses.asdict(self)


def score(target: Flags, probability: Probabilities, threshold: float) -> Scores:
    """Score the probabilities `[rows]` of rows with both outcomes."""
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
    """For bins with equally many rows, from low to high: mean probability, positive share, rows.

    Rows of equal probability may fall into two bins; the sort is stable.
    """
    order = np.argsort(probability, kind="stable")
    return [
        (float(probability[part].mean(dtype=np.float64)), float(target[part].mean()), len(part))
        for part in np.array_split(order, bins)
        if len(part)
    ]


def expected_calibration_error(target: Flags, probability: Probabilities) -> float:
    """The distance of probability and share, averaged over the rows of the bins of `calibration`.

    M. P. Naeini et al., "Obtaining Well Calibrated Probabilities Using Bayesian Binning" (2015),
    with bins of equal mass.
    """
    found = calibration(target, probability)
    return sum(abs(mean - share) * rows for mean, share, rows in found) / len(target)


def top_precision(target: Flags, probability: Probabilities, share: float) -> float:
    """Precision at k: the share of positives among the k rows with the highest probabilities.

    k is `share` of the rows `[rows]`, at least 1. Of rows with the k-th highest probability so many
    are taken as there is room for, each as likely as another.
    """
    k = max(1, round(share * len(target)))
    least = np.partition(probability, -k)[-k]
    above, level = probability > least, probability == least
    return float(target[above].sum() + (k - above.sum()) * target[level].mean()) / k


def f1_interval(confusion: Confusion, seed: int) -> tuple[float, float]:
    """The 95 % percentile bootstrap interval of F1, from 10 000 resamples of the rows.

    F1 depends on the four counts alone, so those are drawn.
    """
    counts = dataclasses.astuple(confusion)
    drawn = resampled_counts(counts, _RESAMPLES, np.random.default_rng(seed))
    hits, wrong = drawn[:, 3], drawn[:, 1] + drawn[:, 2]
    return percentile_interval(2 * hits / np.maximum(2 * hits + wrong, 1))


def always_yes_f1(target: npt.NDArray[np.bool_]) -> float:
    """The F1 of deciding positive for every row: 2p / (1 + p), with p the positive share."""
    share = float(target.mean())
    return 2 * share / (1 + share)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
