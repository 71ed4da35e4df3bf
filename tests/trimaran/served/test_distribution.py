from __future__ import annotations

import threading

import numpy as np
import pytest

from trimaran.served.distribution import Feature, Reference, Tally, described, number_edges

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


def alone(
    feature: Feature, numbers: object = (), codes: object = (), answers: object = ()
) -> list[int]:
    """The counts of a reference with one feature."""
    tally = Tally(Reference([feature], {}))
    rows = max(np.size(numbers), np.size(codes), np.size(answers))
    tally.add(
        np.array(numbers, np.float64).reshape(rows, -1)
        if np.size(numbers)
        else np.empty((rows, 0)),
        np.array(codes, np.int64).reshape(-1, rows) if np.size(codes) else np.empty((0, rows), int),
        [np.array(answers)] if np.size(answers) else (),
    )
    counts: list[int] = tally.counted().tolist()
    return counts


def test_a_bin_holds_its_lower_edge_and_not_its_upper() -> None:
    minutes = REFERENCE.features[0]
    assert alone(minutes, [9.9, 10.0, 20.4, 20.5, 1e9, NAN]) == [1, 2, 2, 1]
    assert alone(REFERENCE.features[2], answers=[0.5]) == [0, 1]
    assert Tally(Reference([Feature("constant", "number", ())], {})).counted().tolist() == [0, 0]


def test_codes_are_counted_as_the_transform_gives_them() -> None:
    assert alone(REFERENCE.features[1], codes=[0, 0, 2, 3]) == [2, 0, 1, 1]


def test_a_measure_is_always_there_and_a_label_is_one_of_those_named_or_other() -> None:
    brightness = Feature("brightness", "measure", (), edges=[64.0, 128.0])
    assert brightness.bins == ["below 64", "64 to 128", "from 128"]
    assert alone(brightness, [0, 64, 200, 255]) == [1, 1, 2]

    label = Feature("label", "label", (), values=["dog", "cat"])
    classes = ["cat", "horse", "dog", "crane", "crane"]
    assert label.bins == ["dog", "cat", "other"]
    assert label.codes(classes).tolist() == [1, 2, 0, 2, 2]
    assert alone(label, codes=label.codes(classes)[[2, 2, 0, 4]]) == [2, 1, 1]

    blocks = Feature("label", "label", (), edges=[2, 4])
    assert blocks.bins == ["below 2", "2 to 4", "from 4"]
    assert blocks.codes(classes).tolist() == [0, 0, 1, 1, 2]


def test_a_tally_counts_what_came_in_pieces_and_then_begins_again() -> None:
    tally = Tally(REFERENCE)
    nothing = [0] * 10
    assert tally.counted().tolist() == nothing
    probability = np.array([[0.2], [0.9]], np.float32)
    tally.add(np.array([[5.0], [NAN]]), np.array([[0, 3]]), [probability])
    tally.add(np.array([[15.0]]), np.array([[1]]), [np.array([[True]])])
    assert tally.counted().tolist() == [1, 1, 0, 1, 1, 1, 0, 1, 1, 2]
    assert tally.counted().tolist() == nothing
    tally.add(np.array([[5.0]]), np.array([[0]]))
    assert tally.counted().tolist() == [1, 0, 0, 0, 1, 0, 0, 0, 0, 0]


def test_a_tally_of_many_rows_is_that_of_the_bins_one_by_one() -> None:
    generator = np.random.default_rng(0)
    numbers = generator.normal(15, 8, (3000, 1))
    numbers[generator.random(3000) < 0.1] = NAN
    codes = generator.integers(0, 4, (1, 3000))
    answers = generator.random((3000, 1)).astype(np.float32)
    tally = Tally(REFERENCE)
    for rows in np.split(np.arange(3000), np.sort(generator.integers(0, 3000, 40))):
        tally.add(numbers[rows], codes[:, rows], [answers[rows]])
    expected = [
        *np.histogram(numbers, [-np.inf, 10.0, 20.5, np.inf])[0],
        np.isnan(numbers).sum(),
        *np.bincount(codes[0], minlength=4),
        *np.histogram(answers, [-np.inf, 0.5, np.inf])[0],
    ]
    assert tally.counted().tolist() == expected


def test_a_row_that_another_thread_adds_while_rows_are_counted_is_counted_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tally = Tally(REFERENCE)
    bincount = np.bincount
    threads: list[threading.Thread] = []

    def add() -> None:
        tally.add(np.array([[5.0]]), np.array([[0]]))

    def while_counting(places: np.ndarray, minlength: int) -> np.ndarray:
        if not threads:
            threads.append(threading.Thread(target=add))
            threads[0].start()
            threads[0].join(0.3)  # it waits for the lock
        return bincount(places, minlength=minlength)

    monkeypatch.setattr(np, "bincount", while_counting)
    add()
    first = tally.counted()
    threads[0].join()
    assert (first + tally.counted()).tolist() == [2, 0, 0, 0, 2, 0, 0, 0, 0, 0]


def test_a_reference_survives_its_file() -> None:
    assert Reference.from_json(REFERENCE.to_json()).to_json() == REFERENCE.to_json()
    with pytest.raises(ValueError, match="format 2; this code reads 1"):
        Reference.from_json(REFERENCE.to_json().replace('"format": 1', '"format": 2'))


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
