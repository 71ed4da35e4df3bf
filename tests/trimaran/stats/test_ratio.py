from __future__ import annotations

import numpy as np
import pytest

from trimaran.stats.ratio import paired_ratio


def test_a_constant_ratio_has_no_spread() -> None:
    found = paired_ratio([2.0, 4.0, 6.0], [1.0, 2.0, 3.0])
    assert (found.value, found.low, found.high) == pytest.approx((2.0, 2.0, 2.0))
    assert str(found) == "2.00 (2.00 to 2.00)"


def test_what_slows_both_leaves_the_ratio_alone() -> None:
    slowed = np.array([1.0, 0.2, 3.0, 0.7])
    found = paired_ratio((1.5 * slowed).tolist(), slowed.tolist())
    assert found.value == pytest.approx(1.5)


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
