"""How good probabilities of several classes are, on rows with a known class."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import log_loss

from trimaran.stats.bootstrap import percentile_interval, resampled_counts

__all__ = [
    "METRIC_NAMES",
    "ClassScores",
    "Codes",
    "MulticlassScores",
    "confusion_of",
    "macro_f1",
    "macro_f1_interval",
    "majority_confusion",
    "score_classes",
]

METRIC_NAMES = {"macro_f1": "macro F1", "accuracy": "accuracy", "log_loss": "log loss"}
"""Names for people of the metrics of `MulticlassScores`."""

_RESAMPLES = 2_000

Codes = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Probabilities = npt.NDArray[np.float32]
"""`[rows, classes]`."""


@dataclass(frozen=True)
class ClassScores:
    """How well one class is told from the others."""

    label: str
    rows: int
    decided: int
    """How many rows were decided to be of it."""
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class MulticlassScores:
    """Every metric on one part."""

    rows: int
    macro_f1: float
    """The mean of the classes' F1."""
    accuracy: float
    log_loss: float
    """In nats per row."""
    classes: Sequence[ClassScores]
    confusion: Sequence[Sequence[int]]
    """Rows by true class, then by decided class, in the order of the classes."""

    def as_dict(self) -> dict[str, Any]:
        """As JSON."""
        return dataclasses.asdict(self)


def confusion_of(target: Codes, decided: Codes, classes: int) -> Codes:
    """Rows by true class and decided class: int64 `[classes, classes]`."""
    return np.bincount(target * classes + decided, minlength=classes**2).reshape(classes, classes)


def majority_confusion(train: Codes, test: Codes, classes: int) -> Codes:
    """The confusion matrix of deciding the training part's most frequent class for every row."""
    most = np.full(len(test), np.bincount(train).argmax())
    return confusion_of(test, most, classes)


def macro_f1(confusion: npt.NDArray[Any]) -> Floats:
    """The mean F1 of the classes, of confusion matrices `[..., classes, classes]`.

    F1 of a class without a true and without a decided row is 0.
    """
    return _f1(confusion).mean(axis=-1)


def score_classes(
    target: Codes, probability: Probabilities, labels: Sequence[str]
) -> MulticlassScores:
    """Score the probabilities of rows with the classes `target`, the most probable one decided."""
    found = confusion_of(target, probability.argmax(axis=1), len(labels))
    right, true, decided = np.diagonal(found), found.sum(axis=1), found.sum(axis=0)
    f1 = _f1(found)
    exact = probability.astype(np.float64)
    exact /= exact.sum(axis=1, keepdims=True)
    return MulticlassScores(
        rows=len(target),
        macro_f1=float(macro_f1(found)),
        accuracy=float(right.sum() / len(target)),
        log_loss=float(log_loss(target, exact, labels=np.arange(len(labels)))),
        classes=[
            ClassScores(
                label,
                int(true[place]),
                int(decided[place]),
                float(right[place] / max(1, decided[place])),
                float(right[place] / max(1, true[place])),
                float(f1[place]),
            )
            for place, label in enumerate(labels)
        ],
        confusion=found.tolist(),
    )


def macro_f1_interval(confusion: Codes, seed: int) -> tuple[float, float]:
    """The 95 % percentile bootstrap interval of macro F1, from 2 000 resamples of the rows.

    It depends on the counts alone, so those are drawn.
    """
    drawn = resampled_counts(confusion.ravel(), _RESAMPLES, np.random.default_rng(seed))
    return percentile_interval(macro_f1(drawn.reshape(-1, *confusion.shape)))


def _f1(confusion: npt.NDArray[Any]) -> Floats:
    right = np.diagonal(confusion, axis1=-2, axis2=-1)
    either = confusion.sum(axis=-1) + confusion.sum(axis=-2)
    found: Floats = 2 * right / np.maximum(either, 1)
    return found
