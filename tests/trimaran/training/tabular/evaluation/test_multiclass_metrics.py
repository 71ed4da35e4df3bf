from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, confusion_matrix, log_loss
from sklearn.metrics import precision_recall_fscore_support as by_class

from trimaran.training.tabular.evaluation.multiclass_metrics import (
    confusion_of,
    macro_f1_interval,
    score_classes,
)

LABELS = ("a", "b", "c")
DRAWN = np.random.default_rng(0)
TARGET = DRAWN.choice(3, 300, p=[0.6, 0.3, 0.1])
LOGITS = DRAWN.normal(0, 1, (300, 3)) + 1.5 * np.eye(3)[TARGET]
PROBABILITY = (np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)).astype(np.float32)


def test_the_scores_are_those_of_scikit_learn() -> None:
    found = score_classes(TARGET, PROBABILITY, LABELS)
    decided = PROBABILITY.argmax(axis=1)
    precision, recall, f1, rows = by_class(TARGET, decided)
    assert found.macro_f1 == pytest.approx(f1.mean())
    assert found.accuracy == pytest.approx(accuracy_score(TARGET, decided))
    assert found.log_loss == pytest.approx(log_loss(TARGET, PROBABILITY), rel=1e-5)
    assert [one.precision for one in found.classes] == pytest.approx(precision)
    assert [one.recall for one in found.classes] == pytest.approx(recall)
    assert [one.rows for one in found.classes] == rows.tolist()
    assert found.confusion == confusion_matrix(TARGET, decided).tolist()


def test_a_class_that_is_never_decided_counts_with_zero() -> None:
    certain = np.eye(3, dtype=np.float32)[np.minimum(TARGET, 1)]
    found = score_classes(TARGET, certain, LABELS)
    assert (found.classes[2].f1, found.classes[2].precision) == (0.0, 0.0)
    assert found.macro_f1 == pytest.approx((1 + found.classes[1].f1) / 3)


def test_the_interval_holds_the_score() -> None:
    confusion = confusion_of(TARGET, PROBABILITY.argmax(axis=1), 3)
    low, high = macro_f1_interval(confusion, 0)
    assert low < score_classes(TARGET, PROBABILITY, LABELS).macro_f1 < high
    more_low, more_high = macro_f1_interval(100 * confusion, 0)
    assert more_high - more_low == pytest.approx((high - low) / 10, rel=0.2)
