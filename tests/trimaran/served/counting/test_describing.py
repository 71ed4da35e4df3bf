from __future__ import annotations

import numpy as np
import pytest

from trimaran.served.distribution import Feature, Reference, described, number_edges

NAN = float("nan")


@pytest.mark.parametrize(
    ("values", "edges"),
    [
        (np.arange(101), [10, 20, 30, 40, 50, 60, 70, 80, 90]),
        ([NAN, 3, 3, 3], []),
        ([0, 0, 0, 0, 1], [0.2, 0.6]),
        ([NAN], []),
    ],
)
def test_edges_are_between_tenths_and_no_bin_is_below_the_least_value(
    values: object, edges: list[float]
) -> None:
    assert number_edges(np.array(values, np.float64)).tolist() == edges


def test_a_reference_holds_the_rows_of_its_bins() -> None:
    bins = Reference(
        [
            Feature("minutes", "number", (), edges=[10.0]),
            Feature("plan", "category", (), values=["no", "yes"]),
            Feature("probability", "answer", (), edges=[0.5]),
        ],
        {"true_positive": 1},
    )
    found = described(
        bins, np.array([[5.0], [NAN], [20.0]]), np.array([[0, 1, 3]]), [np.array([0.1, 0.5, 0.9])]
    )
    assert [feature.counts for feature in found.features] == [[1, 1, 1], [1, 1, 0, 1], [1, 2]]
    assert found.judged == bins.judged
