from __future__ import annotations

import numpy as np
import pytest

from trimaran.stats.bootstrap import (
    basic_interval,
    paired_ratio,
    percentile_interval,
    resampled,
    resampled_counts,
)


def test_resamples_hold_only_what_the_sample_holds() -> None:
    drawn = resampled([1.0, 2.0, 4.0], 500, np.random.default_rng(0))
    assert drawn.shape == (500, 3)
    assert set(drawn.ravel()) == {1.0, 2.0, 4.0}
    assert drawn.mean() == pytest.approx(7 / 3, abs=0.1)


def test_resampled_counts_are_those_of_resampled_rows() -> None:
    counts = np.array([20, 0, 80])
    drawn = resampled_counts(counts, 4000, np.random.default_rng(0))
    assert set(drawn.sum(axis=1)) == {100}
    assert not drawn[:, 1].any()
    rows = resampled(np.repeat([0, 1, 2], counts), 4000, np.random.default_rng(1))
    assert drawn[:, 0].std() == pytest.approx((rows == 0).sum(axis=1).std(), rel=0.05)


def test_the_interval_of_a_mean_holds_the_truth_as_often_as_it_says() -> None:
    generator = np.random.default_rng(2)
    held = 0
    for _ in range(200):
        sample = generator.normal(3, 1, 60)
        low, high = percentile_interval(resampled(sample, 400, generator).mean(axis=1))
        held += low < 3 < high
    assert 0.9 <= held / 200 <= 0.98


def test_the_interval_leaves_out_a_fortieth_at_each_end() -> None:
    assert percentile_interval(np.arange(1001)) == (25.0, 975.0)


def test_the_basic_interval_is_the_mirrored_percentile_interval() -> None:
    statistics = np.random.default_rng(3).gamma(2, 1, 1000)
    low, high = percentile_interval(statistics)
    assert basic_interval(2.0, statistics) == (4.0 - high, 4.0 - low)


def test_a_constant_ratio_has_no_spread() -> None:
    found = paired_ratio([2.0, 4.0, 6.0], [1.0, 2.0, 3.0])
    assert (found.value, found.low, found.high) == pytest.approx((2.0, 2.0, 2.0))
    assert str(found) == "2.00 (2.00 to 2.00)"


def test_what_slows_both_leaves_the_ratio_alone() -> None:
    slowed = np.array([1.0, 0.2, 3.0, 0.7])
    found = paired_ratio((1.5 * slowed).tolist(), slowed.tolist())
    assert found.value == pytest.approx(1.5)


def test_twice_as_fast_and_half_as_fast_are_equal_on_average() -> None:
    assert paired_ratio([2.0, 1.0], [1.0, 2.0]).value == pytest.approx(1.0)


def test_equal_targets_hold_one_in_nearly_every_interval() -> None:
    generator = np.random.default_rng(0)
    held = 0
    for _ in range(100):
        first, second = generator.lognormal(0, 0.1, (2, 30))
        found = paired_ratio(first.tolist(), second.tolist())
        assert found.low < found.value < found.high
        held += found.low < 1.0 < found.high
    assert 85 <= held < 100


def test_a_real_difference_excludes_one() -> None:
    generator = np.random.default_rng(1)
    noise = generator.lognormal(0, 0.1, (2, 10))
    assert paired_ratio((1.5 * noise[0]).tolist(), noise[1].tolist()).low > 1.2
