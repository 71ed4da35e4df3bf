"""A golden request is met or not: each expectation decides on its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from trimaran.serving.golden import unmet

LABELS = np.array([[b"Egyptian cat", b"tabby"]], np.object_)
NUMBERS = np.array([[0.39, 0.2, 0.1]], np.float32)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (LABELS, {"contains": "cat"}),
        (LABELS, {"equals": ["Egyptian cat", "tabby"]}),
        (NUMBERS, {"near": [0.4], "atol": 0.02}),
        (NUMBERS, {"near": [0.4, 0.2, 0.1], "atol": 0.02}),
    ],
)
def test_an_expectation_is_met(found: np.ndarray, expected: dict[str, Any]) -> None:
    assert unmet(found, expected) is None


@pytest.mark.parametrize(
    ("found", "expected", "why"),
    [
        (None, {"contains": "cat"}, "missing"),
        (LABELS, {"contains": "dog"}, "none contains 'dog'"),
        (LABELS, {"equals": ["Egyptian cat"]}, "not ['Egyptian cat']"),
        (LABELS, {"equals": ["tabby", "Egyptian cat"]}, "not ['tabby', 'Egyptian cat']"),
        (NUMBERS, {"near": [0.42], "atol": 0.02}, "not within 0.02 of [0.42]"),
        (NUMBERS, {"near": [0.39, 0.3], "atol": 0.02}, "not within 0.02"),
        (NUMBERS, {"near": [0.39]}, "not within 0 of"),
        (NUMBERS, {"near": [0.39, 0.2, 0.1, 0.0], "atol": 1.0}, "not within 1 of"),
        (np.array([np.nan], np.float32), {"near": [0.39], "atol": 1.0}, "not within 1 of"),
        (LABELS, {"contains": "cat", "equals": ["other"]}, "not ['other']"),
    ],
)
def test_an_expectation_is_not_met(
    found: np.ndarray | None, expected: dict[str, Any], why: str
) -> None:
    assert why in (unmet(found, expected) or "")
