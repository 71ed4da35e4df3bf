"""Ratios of alternating rounds."""

from __future__ import annotations

from exporters.precision.speed import Cost, measure_speedup, median_ratio


def test_the_median_of_the_rounds_with_its_interval() -> None:
    found = median_ratio([2.0, 2.0, 9.0, 2.0, 2.0], [1.0] * 5, 8)
    assert (found.value, found.low, found.rows) == (2.0, 2.0, 8)
    assert 2.0 <= found.high <= 9.0
    assert found == median_ratio([2.0, 2.0, 9.0, 2.0, 2.0], [1.0] * 5, 8)
    assert str(median_ratio([1.0] * 3, [2.0] * 3, 1)) == "0.50 (0.50 to 0.50)"


def test_calls_are_taken_in_turns() -> None:
    called: list[str] = []
    found = measure_speedup(lambda: called.append("a"), lambda: called.append("b"), 1, rounds=3)
    assert found.low <= found.value <= found.high
    blocks = [name for i, name in enumerate(called) if i == 0 or called[i - 1] != name]
    assert set(blocks) == {"a", "b"}
    assert len(blocks) >= 4


def test_a_cost_goes_into_a_manifest() -> None:
    cost = Cost(10, 40, median_ratio([2.0], [1.0], 8))
    assert cost.record() == {
        "size": 10,
        "fp32_size": 40,
        "speedup": {"value": 2.0, "low": 2.0, "high": 2.0, "rows": 8},
    }
