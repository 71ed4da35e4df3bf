"""Outcomes joined to a log of predictions."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from trimaran.served.judging import CELLS, BinaryJudge, RankedJudge, probability_bin
from trimaran.served.outcomes import Outcome, Outcomes
from trimaran.served.prediction_line import Keyed
from trimaran.served.refusal import RefusedError


def line(
    name: str | None,
    probability: float = 0.9,
    at: str = "2026-01-01T00:00:00+00:00",
    version: str = "1",
    **more: object,
) -> str:
    output = {"p": probability, "decided": probability > 0.5}
    return json.dumps({"time": at, "version": version, "id": name, "output": output, **more}) + "\n"


class Store:
    """A directory with a log, and the outcomes of it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.outcomes = Outcomes(directory, BinaryJudge("p", "decided"))

    def log(self, *lines: str, file: str = "1.jsonl") -> None:
        with (self.directory / file).open("a") as log:
            log.write("".join(lines))
        self.outcomes.read_log()

    def record(self, name: str, outcome: bool, time_s: float | None = None) -> str:
        (status,) = self.outcomes.record([Outcome(name, outcome, time_s)])
        return status

    def cells(self, version: str = "1") -> dict[str, float]:
        totals = self.outcomes.totals()
        return {cell: totals[version, "outcomes", cell] for cell in CELLS}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path)
    yield made
    made.outcomes.close()


def test_an_outcome_is_counted_by_what_was_decided(store: Store) -> None:
    store.log(line("a"), line("b"), line("c", 0.1), line("d", 0.1))
    assert store.cells() == dict.fromkeys(CELLS, 0)
    statuses = [store.record("a", True), store.record("b", False), store.record("c", False)]
    assert [*statuses, store.record("d", True)] == ["counted"] * 4
    assert store.cells() == dict.fromkeys(CELLS, 1)
    totals = store.outcomes.totals()
    assert totals["1", "positives", "0.9 to 1"] == 1
    assert totals["1", "probability", "0.9 to 1"] == pytest.approx(1.8)
    assert totals["1", "positives", "0.1 to 0.2"] == 1
    assert totals["1", "squared_error", ""] == pytest.approx(2 * 0.01 + 2 * 0.81)


def test_nothing_is_counted_twice(store: Store) -> None:
    store.log(line("a", request_id="r"))
    assert store.record("a", True) == "counted"
    assert store.record("a", True) == "known"
    assert store.record("a", False) == "contradicts"
    assert store.record("r", True) == "known"
    assert store.record("a", False, 2e9) == "contradicts"
    assert sum(store.cells().values()) == 1


def test_two_processes_count_each_outcome_once_together(store: Store, tmp_path: Path) -> None:
    """Each has its own connection; they are told the same outcomes at the same time."""
    names = [f"{number}" for number in range(300)]
    (tmp_path / "1.jsonl").write_text("".join(map(line, names)))
    other = Outcomes(tmp_path, BinaryJudge("p", "decided"))
    together = threading.Barrier(2)

    def tell(outcomes: Outcomes) -> Counter[str]:
        together.wait(30)
        outcomes.read_log()
        together.wait(30)
        return Counter(outcomes.record([Outcome(name, True, None) for name in names]))

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(tell, (store.outcomes, other)))
    other.close()
    assert sum(found, Counter()) == {"counted": 300, "known": 300}
    assert store.cells()["true_positive"] == 300


def test_ids_that_nobody_predicted_are_unknown_until_they_are(store: Store) -> None:
    assert store.record("a", True) == "unknown"
    store.log(line("a"))
    assert store.record("a", True) == "counted"


def test_masked_ids_and_rows_of_requests_are_found(store: Store) -> None:
    store.log(line(Keyed.of(store.directory).masked("a")), line(None, request_id="r", row=1))
    assert store.record("a", True) == "counted"
    assert store.record("r/1", True) == "counted"
    assert store.record("r", True) == "unknown"


def test_an_outcome_is_of_the_newest_prediction_of_each_version(store: Store) -> None:
    store.log(
        line("a", 0.9, "2026-01-01T00:00:00+00:00"),
        line("a", 0.1, "2026-01-02T00:00:00+00:00"),
        line("a", 0.9, "2026-01-01T00:00:00+00:00", "2"),
    )
    assert store.record("a", True) == "counted"
    assert store.cells()["false_negative"] == 1
    assert store.cells("2")["true_positive"] == 1
    assert sum(store.cells().values()) + sum(store.cells("2").values()) == 2


def test_with_times_an_id_may_have_several_outcomes(store: Store) -> None:
    store.log(line("a", 0.9, "2026-01-01T00:00:00+00:00"))
    january, february, before = 1_768_000_000.0, 1_770_500_000.0, 1_700_000_000.0
    assert store.record("a", True, before) == "unknown"
    assert store.record("a", True, january) == "counted"
    store.log(line("a", 0.1, "2026-02-01T00:00:00+00:00"))
    assert store.record("a", True, january) == "known"
    assert store.record("a", False, february) == "counted"
    assert store.record("a", False, february) == "known"
    assert store.cells()["true_positive"] == store.cells()["true_negative"] == 1


def test_without_times_later_predictions_get_no_outcome_recorded_before(store: Store) -> None:
    store.log(line("a"))
    assert store.record("a", True) == "counted"
    store.log(line("a", 0.1, "2026-02-01T00:00:00+00:00"))
    assert store.record("a", True) == "known"
    assert sum(store.cells().values()) == 1


def test_what_was_counted_outlives_the_process_and_the_log(store: Store) -> None:
    store.log(line("a"), line("b"))
    store.log(line("c"), file="2.jsonl")
    store.record("a", True)
    store.outcomes.close()
    again = Store(store.directory)
    again.outcomes.read_log()
    assert again.record("a", True) == "known"
    assert again.record("b", True) == "counted"
    (store.directory / "1.jsonl").unlink()
    again.outcomes.read_log()
    assert again.record("b", True) == "unknown"
    assert again.record("c", True) == "counted"
    assert again.cells()["true_positive"] == 3
    again.outcomes.close()
    store.outcomes = Outcomes(store.directory, BinaryJudge("p", "decided"))


def test_a_line_that_is_being_written_is_read_when_it_is_whole(store: Store) -> None:
    text = line("a")
    store.log(line("b"), text[:20])
    assert store.record("a", True) == "unknown"
    assert store.record("b", True) == "counted"
    store.log(text[20:])
    assert store.record("a", True) == "counted"


def test_damaged_lines_are_passed_over(store: Store) -> None:
    store.log("{broken\n", "[]\n", '{"id": "a"}\n', line("a"), line(None))
    assert store.record("a", True) == "counted"


def test_a_request_is_counted_whole_or_not_at_all(store: Store) -> None:
    store.log(line("a"), line("b"))
    store.outcomes._database.execute(
        "CREATE TRIGGER full BEFORE UPDATE ON predictions WHEN old.id = 'b' "
        "BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END"
    )
    both = [Outcome(name, True) for name in "ab"]
    with pytest.raises(sqlite3.Error, match="full"):
        store.outcomes.record(both)
    assert sum(store.cells().values()) == 0
    store.outcomes._database.execute("DROP TRIGGER full")
    assert store.outcomes.record(both) == ["counted", "counted"]


def test_a_release_that_nobody_can_ask_for_is_known_with_zeros(store: Store) -> None:
    store.log(line(None, version="7"))
    assert store.cells("7") == dict.fromkeys(CELLS, 0)


def test_the_true_one_of_many_classes_is_the_first_answer_or_among_them_or_neither() -> None:
    judge = RankedJudge("LABEL", [f"class {n}" for n in range(200)])
    _, decided = judge.prediction({"LABEL": ["class 3", "class 7"]})
    cells = {
        name: [cell for (_, cell), _ in judge.counts(0.0, decided, judge.outcome(name))]
        for name in (b"class 3", b"class 7", b"class 8")
    }
    assert list(cells.values()) == [["first"], ["among"], ["neither"]]
    with pytest.raises(RefusedError, match=r"is no class; labels\.txt of the published model has"):
        judge.outcome(b"class 200")


def test_a_decision_by_name_is_judged_by_name() -> None:
    judge = BinaryJudge("p", "LABEL", ("bad", "good"))
    assert judge.prediction({"p": 0.75, "LABEL": "good"}) == (0.75, 1)
    assert (judge.outcome(b"bad"), judge.outcome("good")) == (0, 1)
    with pytest.raises(RefusedError, match="'fine' is no class; classes: bad, good"):
        judge.outcome(b"fine")


def test_bins_hold_every_probability() -> None:
    assert probability_bin(0.0) == probability_bin(0.0999) == "0 to 0.1"
    assert probability_bin(0.1) == "0.1 to 0.2"
    assert probability_bin(1.0) == "0.9 to 1"
