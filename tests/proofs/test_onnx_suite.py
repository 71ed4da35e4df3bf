"""A slice of ONNX's own model files, through `trimaran add` and the real server."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from proofs.onnx_suite.cases import find_cases, spread
from proofs.onnx_suite.page import Reached, Result, counts, page
from proofs.onnx_suite.suite import difference, run_suite


@pytest.mark.long
def test_a_slice_is_served_with_the_answers_of_onnx_runtime(tmp_path: Path) -> None:
    cases = spread(find_cases(), 32)
    assert {case.name.partition(".")[0] for case in cases} == {
        "light", "simple", "pytorch-converted", "pytorch-operator",
    }  # fmt: skip
    reported: list[str] = []
    results = run_suite(cases, tmp_path, reported.append)
    assert sorted(reported) == sorted(result.name for result in results)
    reached = counts(results)
    assert reached[Reached.FOUND] == 32
    assert reached[Reached.COMPUTED] >= 20
    assert reached[Reached.EQUAL] == reached[Reached.COMPUTED], page(results, "")
    assert sum(result.answers for result in results) >= reached[Reached.EQUAL]


def test_cases_are_spread_evenly() -> None:
    cases = find_cases()
    assert len(cases) > 100
    assert len({case.name for case in cases}) == len(cases)
    assert spread(cases, None) == cases
    assert spread(cases, 10**6) == cases
    assert len(spread(cases, 7)) == 7


@pytest.mark.parametrize(
    ("expected", "actual", "apart"),
    [
        (np.float32([1, 2]), np.float32([1, 2]), 0.0),
        (np.float32([0, 4]), np.float32([1, 4]), 0.25),
        (np.float32([np.nan, 1]), np.float32([np.nan, 1]), 0.0),
        (np.float32([np.inf, 1]), np.float32([2, 1]), None),
        (np.float32(3), np.float32([3]), 0.0),
        (np.float32([1]), np.float64([1]), None),
        (np.float32([1]), np.float32([[1]]), None),
        (np.int64([1]), np.int64([2]), None),
        (np.float32([0]), np.float32([1]), None),
        (np.array(["a"], dtype=object), np.array([b"a"], dtype=object), 0.0),
        (np.array(["a"], dtype=object), np.array([b"b"], dtype=object), None),
    ],
)
def test_how_far_answers_are_apart(
    expected: np.ndarray, actual: np.ndarray, apart: float | None
) -> None:
    assert difference(expected, actual) == apart


def test_the_page_names_every_exception_with_its_cause() -> None:
    results = [
        Result("a", Reached.IDENTICAL, answers=2),
        Result("b", Reached.EQUAL, answers=1),
        Result("c", Reached.FOUND, "no | such operator"),
        Result("d", Reached.FOUND, "no | such operator"),
    ]
    text = page(results, "python -m it")
    assert "| taken from the `onnx` wheel | 4 | 0 |" in text
    assert "of the largest value | 2 | 0 |" in text
    assert "3 requests were compared" in text
    assert "| 2 | found | no \\| such operator | `c`, `d` |" in text
    assert "```\npython -m it\n```" in text
    assert "None." in page(results[:1], "it")
