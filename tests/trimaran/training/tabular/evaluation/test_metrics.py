from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score

from trimaran.training.tabular.evaluation.metrics import (
    Confusion,
    always_yes_f1,
    calibration,
    expected_calibration_error,
    f1_interval,
    score,
    top_precision,
)


def probabilities(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float32)


def test_scores_worked_out_by_hand() -> None:
    target = np.array([True, True, False, False])
    found = score(target, probabilities(0.9, 0.4, 0.6, 0.1), 0.5)
    assert found.confusion == Confusion(1, 1, 1, 1)
    assert (found.f1, found.precision, found.recall) == (0.5, 0.5, 0.5)
    assert found.roc_auc == 0.75
    assert found.pr_auc == pytest.approx((1 + 2 / 3) / 2)
    assert found.log_loss == pytest.approx(-np.log([0.9, 0.4, 0.4, 0.9]).mean(), rel=1e-6)
    assert found.brier == pytest.approx((0.01 + 0.36 + 0.36 + 0.01) / 4)
    assert found.ece == pytest.approx((0.1 + 0.6 + 0.6 + 0.1) / 4)


def test_false_alarms_and_misses_are_distinguished() -> None:
    target = np.array([False] * 3 + [True] * 7)
    decided = np.array([False, True, True] + [False] * 3 + [True] * 4)
    found = Confusion.of(target, decided)
    assert found == Confusion(true_negative=1, false_positive=2, false_negative=3, true_positive=4)
    assert (found.precision, found.recall) == (4 / 6, 4 / 7)


def test_no_decided_positive_scores_zero() -> None:
    found = Confusion.of(np.array([True, False]), np.array([False, False]))
    assert (found.f1, found.precision, found.recall) == (0.0, 0.0, 0.0)


def test_bins_have_as_many_rows() -> None:
    generator = np.random.default_rng(0)
    probability = generator.random(1003).astype(np.float32)
    target = generator.random(1003) < probability
    groups = calibration(target, probability)
    assert [rows for _, _, rows in groups] == [101] * 3 + [100] * 7
    assert [mean for mean, _, _ in groups] == sorted(mean for mean, _, _ in groups)
    assert expected_calibration_error(target, probability) < 0.06
    assert expected_calibration_error(~target, probability) > 0.4


def test_the_interval_is_that_of_resampled_rows() -> None:
    generator = np.random.default_rng(1)
    target = generator.random(400) < 0.2
    decided = target ^ (generator.random(400) < 0.05)
    low, high = f1_interval(Confusion.of(target, decided), 0)
    drawn = generator.integers(400, size=(2000, 400))
    right = (target & decided)[drawn].sum(axis=1)
    wrong = (target ^ decided)[drawn].sum(axis=1)
    resampled = 2 * right / (2 * right + wrong)
    assert (low, high) == pytest.approx(np.quantile(resampled, [0.025, 0.975]), abs=0.012)
    assert low < f1_score(target, decided) < high


def test_always_yes() -> None:
    target = np.array([True, False, False, False])
    assert always_yes_f1(target) == pytest.approx(f1_score(target, np.ones(4, dtype=bool)))


def test_precision_of_the_most_probable_rows_shares_ties() -> None:
    target = np.array([True, False, True, False, False, False, False, False, False, True])
    ranked = probabilities(0.9, 0.8, 0.7, 0.7, 0.7, 0.1, 0.1, 0.1, 0.1, 0.0)
    assert top_precision(target, ranked, 0.1) == 1
    assert top_precision(target, ranked, 0.2) == 1 / 2
    assert top_precision(target, ranked, 0.4) == pytest.approx((1 + 2 * 1 / 3) / 4)
    assert top_precision(target, ranked, 1.0) == pytest.approx(3 / 10)
    assert top_precision(target, ranked, 0.0) == 1
