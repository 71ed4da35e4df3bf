from __future__ import annotations

import numpy as np
import pytest

from ensembles.tabular.distribution import (
    Feature,
    Reference,
    Tally,
    count_category,
    count_number,
)

NAN = float("nan")
REFERENCE = Reference(
    [
        Feature("minutes", "number", [1, 2, 3, 0], edges=[10.0, 20.5]),
        Feature("plan", "category", [4, 1, 1, 0], values=["no", "yes"]),
        Feature("probability", "answer", [5, 1], edges=[0.5]),
    ],
    {"true_positive": 1, "false_positive": 0, "true_negative": 5, "false_negative": 0},
)


def test_bins_are_named_by_what_is_in_them() -> None:
    number, category, answer = REFERENCE.features
    assert number.bins == ["below 10", "10 to 20.5", "from 20.5", "missing"]
    assert category.bins == ["no", "yes", "missing", "unknown"]
    assert answer.bins == ["below 0.5", "from 0.5"]
    assert Feature("constant", "number", [6, 0]).bins == ["any", "missing"]
    assert [feature.rows for feature in REFERENCE.features] == [6, 6, 6]


def test_a_bin_holds_its_lower_edge_and_not_its_upper() -> None:
    values = np.array([9.9, 10.0, 20.4, 20.5, 1e9, NAN])
    assert count_number(values, np.array([10.0, 20.5])).tolist() == [1, 2, 2, 1]
    assert count_number(np.array([0.5]), np.array([0.5]), missing=False).tolist() == [0, 1]
    assert count_number(np.array([]), np.array([])).tolist() == [0, 0]


def test_codes_are_counted_as_the_transform_gives_them() -> None:
    assert count_category(np.array([0, 0, 2, 3]), 2).tolist() == [2, 0, 1, 1]


def test_a_tally_counts_what_came_in_pieces_and_then_begins_anew() -> None:
    tally = Tally(REFERENCE)
    assert tally.counted() == [None, None, None]
    probability = np.array([[0.2], [0.9]], np.float32)
    tally.add(np.array([[5.0], [NAN]]), np.array([[0, 3]]), [probability])
    tally.add(np.array([[15.0]]), np.array([[1]]), [np.array([[True]])])
    minutes, plan, answers = tally.counted()
    assert minutes is not None
    assert minutes.tolist() == [1, 1, 0, 1]
    assert plan is not None
    assert plan.tolist() == [1, 1, 0, 1]
    assert answers is not None
    assert answers.tolist() == [1, 2]
    assert tally.counted() == [None, None, None]
    tally.add(np.array([[5.0]]), np.array([[0]]))
    assert tally.counted()[2] is None


def test_a_reference_survives_its_file() -> None:
    assert Reference.from_json(REFERENCE.to_json()).to_json() == REFERENCE.to_json()
    with pytest.raises(ValueError, match="format 2; this code reads 1"):
        Reference.from_json(REFERENCE.to_json().replace('"format": 1', '"format": 2'))
