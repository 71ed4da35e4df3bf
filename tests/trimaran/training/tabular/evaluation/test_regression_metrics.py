from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from trimaran.training.tabular.evaluation.regression_metrics import (
    conformal_margin,
    mae_interval,
    rank_correlation,
    score_numbers,
)

DRAWN = np.random.default_rng(0)
TARGET = DRAWN.gamma(2, 100, 400)
PREDICTED = (TARGET + DRAWN.normal(5, 40, 400)).astype(np.float32)


def test_the_scores_are_those_of_scikit_learn() -> None:
    found = score_numbers(TARGET, PREDICTED, 40.0)
    assert found.mae == pytest.approx(mean_absolute_error(TARGET, PREDICTED))
    assert found.rmse == pytest.approx(root_mean_squared_error(TARGET, PREDICTED))
    assert found.r2 == pytest.approx(r2_score(TARGET, PREDICTED))
    assert found.coverage == pytest.approx((np.abs(PREDICTED - TARGET) <= 40).mean())


def test_a_margin_holds_new_rows_as_often_as_it_should() -> None:
    """Over many draws, also of few rows, where the plain quantile of errors would hold too few."""
    drawn = np.random.default_rng(1)
    held = []
    for _ in range(2000):
        target = drawn.normal(size=20)
        margin = conformal_margin(target[:-1], np.zeros(19, np.float32))
        held.append(abs(target[-1]) <= margin)
    assert 0.88 < np.mean(held) < 0.92
    assert conformal_margin(np.array([1.0, -3.0]), np.zeros(2, np.float32)) == 3.0


def test_the_interval_of_the_error_is_that_of_a_mean() -> None:
    errors = np.abs(PREDICTED - TARGET)
    reach = 1.96 * errors.std() / np.sqrt(len(errors))
    low, high = mae_interval(TARGET, PREDICTED, 0)
    assert low == pytest.approx(errors.mean() - reach, abs=reach / 5)
    assert high == pytest.approx(errors.mean() + reach, abs=reach / 5)


def test_the_rank_correlation_is_spearmans() -> None:
    one, other = DRAWN.integers(0, 9, 50).astype(float), DRAWN.integers(0, 9, 50).astype(float)
    assert rank_correlation(one, other) == pytest.approx(spearmanr(one, other).statistic)
    assert rank_correlation(one, np.zeros(50)) == 0.0
