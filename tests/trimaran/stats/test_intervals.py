from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.metrics import f1_score as sklearn_f1

from trimaran.stats.intervals import Estimate, f1_score, fall, share, wilson


@pytest.mark.parametrize(
    ("hits", "rows", "low", "high"),
    [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (10, 10, 0.7225, 1.0), (0, 0, 0.0, 1.0)],
)
def test_wilson(hits: int, rows: int, low: float, high: float) -> None:
    assert wilson(hits, rows) == pytest.approx((low, high), abs=1e-4)


@given(st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_the_share(drawn: tuple[int, int]) -> None:
    hits, rows = drawn
    low, high = wilson(hits, rows)
    assert 0 <= low <= hits / rows <= high <= 1


@pytest.mark.parametrize(("part", "whole"), [(0, 10), (7, 10), (10, 10), (85, 1000)])
def test_a_share_has_the_interval_of_scipy(part: int, whole: int) -> None:
    found = share(part, whole)
    expected = binomtest(part, whole).proportion_ci(method="wilson")
    assert found is not None
    assert found.value == part / whole
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-4)
    assert share(0, 0) is None


def test_f1_is_that_of_scikit_learn_and_lies_in_its_interval() -> None:
    true = [1] * 30 + [0] * 70
    decided = [1] * 24 + [0] * 6 + [1] * 4 + [0] * 66
    found = f1_score(24, 4, 6)
    assert found is not None
    assert found.value == pytest.approx(sklearn_f1(true, decided))
    assert found.low < found.value < found.high
    assert f1_score(0, 0, 0) is None


def test_the_interval_of_f1_holds_the_truth_as_often_as_it_says() -> None:
    generator = np.random.default_rng(0)
    shares = [0.1, 0.02, 0.85, 0.03]
    truth = 2 * 0.1 / (2 * 0.1 + 0.02 + 0.03)
    held = 0
    for right, wrong, _, missed in generator.multinomial(500, shares, 400):
        found = f1_score(right, wrong, missed)
        assert found is not None
        held += found.low <= truth <= found.high
    assert 0.93 <= held / 400 <= 0.98


def test_a_fall_has_the_interval_that_newcombe_published() -> None:
    """His example (a): 56 of 70 less 48 of 80."""
    found = fall(share(48, 80), share(56, 70))
    assert found is not None
    assert found.value == pytest.approx(0.2)
    assert (found.low, found.high) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    assert fall(None, Estimate(0.5, 0.4, 0.6)) is None
