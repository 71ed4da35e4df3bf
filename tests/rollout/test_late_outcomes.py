"""Outcomes, inputs and answers of predictions, by arm: from the files that a server leaves."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.rollout.played import begun
from trimaran.rollout.experiments.observed import Observed
from trimaran.rollout.experiments.plan import Goal, Plan
from trimaran.rollout.traffic.answered import Counting, PredictionLines, answer_of, counted
from trimaran.rollout.traffic.late_outcomes import LateOutcomes
from trimaran.rollout.traffic.measures import check_measured, measure_of
from trimaran.rollout.traffic.units import Units, forget_units, seen_in
from trimaran.served.distribution import Feature
from trimaran.served.judging import BinaryJudge, ClassJudge, Judge, NumberJudge, RankedJudge
from trimaran.served.outcomes import Outcome, Outcomes
from trimaran.system.errors import UsageError

BINARY = BinaryJudge("p", "decided")
CLASSES = ClassJudge("class", ["a", "b"])
RANKED = RankedJudge("class", ["a", "b", "c"])
NUMBERS = NumberJudge("value", "low", "high")
INTERVAL = json.dumps([10.0, 8.0, 12.0])
PLAN = Plan(steps=(0.25, 0.5), goals=(Goal("accuracy"), Goal("recall")))


@pytest.mark.parametrize(
    ("judge", "goal", "predicted", "outcome", "value"),
    [
        (BINARY, Goal("accuracy"), (0.9, 1), 1, 1),
        (BINARY, Goal("accuracy"), (0.9, 1), 0, 0),
        (BINARY, Goal("precision"), (0.9, 1), 0, 0),
        (BINARY, Goal("precision"), (0.1, 0), 1, None),
        (BINARY, Goal("recall"), (0.1, 0), 1, 0),
        (BINARY, Goal("recall"), (0.9, 1), 0, None),
        (BINARY, Goal("brier", binary=False), (0.9, 1), 0, 0.81),
        (CLASSES, Goal("accuracy"), (0, '"a"'), '"a"', 1),
        (CLASSES, Goal("accuracy"), (0, '"a"'), '"b"', 0),
        (RANKED, Goal("accuracy"), (0, '["a", "b"]'), '"b"', 0),
        (RANKED, Goal("among"), (0, '["a", "b"]'), '"b"', 1),
        (RANKED, Goal("among"), (0, '["a", "b"]'), '"c"', 0),
        (NUMBERS, Goal("error", binary=False, high=50), (0, INTERVAL), 7.0, 3),
        (NUMBERS, Goal("error", binary=False, high=50), (0, INTERVAL), 99.0, 50),
        (NUMBERS, Goal("held"), (0, INTERVAL), 7.0, 0),
        (NUMBERS, Goal("held"), (0, INTERVAL), 8.0, 1),
    ],
)
def test_what_a_prediction_is_worth(
    judge: Judge, goal: Goal, predicted: tuple[float, Any], outcome: Any, value: float | None
) -> None:
    check_measured("churn", goal, judge)
    assert measure_of(goal, judge)(*predicted, outcome) == pytest.approx(value)


@pytest.mark.parametrize(
    ("judge", "goal", "words"),
    [
        (CLASSES, Goal("recall"), "have no recall; they have accuracy"),
        (BINARY, Goal("accuracy", binary=False, high=2), "is 0 or 1; write the goal as accuracy"),
        (NUMBERS, Goal("error"), "is between two bounds; write the goal as error:0:100"),
    ],
)
def test_a_goal_that_a_task_does_not_have_is_refused(judge: Judge, goal: Goal, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        check_measured("churn", goal, judge)


class Log:
    """A prediction log with its outcomes, of an experiment whose clock the test turns."""

    def __init__(self, root: Path) -> None:
        self.directory = root / ".trimaran/model_repository/predictions/churn"
        self.directory.mkdir(parents=True)
        self.outcomes = Outcomes(self.directory, BINARY)
        self.now = datetime(2026, 11, 28, 9, tzinfo=UTC)
        self.experiment = begun(root, PLAN, lambda: self.now)
        self.late = self.opened()

    def opened(self) -> LateOutcomes:
        return LateOutcomes(self.experiment, PLAN.goals, BINARY, self.directory, "key")

    def at(self, second: int) -> None:
        self.now = datetime(2026, 11, 28, 9, 0, second, tzinfo=UTC)

    def look(self, second: int) -> None:
        self.at(second)
        self.experiment.observe(Observed(), Observed())

    def predict(self, second: float, version: str, *names: str, probability: float = 0.9) -> None:
        at = datetime(2026, 11, 28, 9, 0, int(second), 500_000, tzinfo=UTC).isoformat()
        output = {"p": probability, "decided": probability > 0.5}
        lines = [{"time": at, "version": version, "id": n, "output": output} for n in names]
        with (self.directory / f"{version}.jsonl").open("a") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)
        self.outcomes.read_log()

    def tell(self, outcome: bool, *names: str) -> None:
        self.outcomes.record([Outcome(name, outcome) for name in names])

    def count(self) -> dict[tuple[int, str, str], tuple[float, float]]:
        """How many outcomes there are and their sum, by segment, arm and goal."""
        self.late.count()
        return {
            (number, arm, goal): (values.count, values.total)
            for number, each in enumerate(self.experiment.state.segments, start=1)
            for arm, seen in (("live", each.live.seen), ("candidate", each.candidate.seen))
            for goal, values in seen.outcomes.items()
        }


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    made = Log(tmp_path)
    yield made
    made.outcomes.close()


def test_an_outcome_counts_for_the_arm_and_the_share_of_its_prediction(log: Log) -> None:
    log.predict(0, "7", "before")  # the traffic was not divided yet
    log.look(1)
    log.predict(1, "7", "a", "b", "c")
    log.predict(1, "8", "d", "e", probability=0.1)
    log.predict(1, "6", "another release")
    log.look(3)
    log.experiment.weigh(0.5, by="canary")
    log.predict(4, "8", "while the share was changed")
    log.look(5)
    log.predict(5, "8", "f")
    log.look(7)
    assert log.count() == {}
    log.tell(True, "before", "a", "b", "d", "another release", "while the share was changed", "f")
    log.tell(False, "c", "e")
    assert log.count() == {
        (1, "live", "accuracy"): (3, 2),
        (1, "live", "recall"): (2, 2),
        (1, "candidate", "accuracy"): (2, 1),
        (1, "candidate", "recall"): (1, 0),
        (2, "candidate", "accuracy"): (1, 1),
        (2, "candidate", "recall"): (1, 1),
    }


def test_an_interruption_neither_loses_nor_doubles_an_outcome(log: Log) -> None:
    log.look(1)
    log.predict(1, "7", "a", "b")
    log.look(2)
    log.tell(True, "a")
    assert log.count() == {(1, "live", "accuracy"): (1, 1), (1, "live", "recall"): (1, 1)}
    log.predict(3, "7", "while nobody conducted")
    log.at(5)
    log.experiment.go_on(by="anna")
    log.look(6)
    log.predict(6, "7", "c")
    log.look(8)
    log.tell(True, "b", "c", "while nobody conducted")
    log.late = log.opened()
    again = {(1, "live", "accuracy"): (3, 3), (1, "live", "recall"): (3, 3)}
    assert log.count() == again
    assert log.count() == again


def test_an_index_that_is_not_there_yet_has_no_outcomes(log: Log, tmp_path: Path) -> None:
    log.look(1)
    log.look(2)
    late = LateOutcomes(log.experiment, PLAN.goals, BINARY, tmp_path / "none", "key")
    assert not late.count()


FIELDS = (
    Feature("minutes", "number", (), (10.0, 20.0)),
    Feature("plan", "category", (), values=("gold",)),
)


def seen(
    lines: list[dict[str, Any]], counting: Counting, is_new: Callable[[str], bool]
) -> dict[str, tuple[Any, Any]]:
    since = datetime(2026, 11, 28, 9, tzinfo=UTC)
    found = counted(lines, counting, since, is_new)
    return {arm: (each.inputs, each.answers) for arm, each in found.items()}


def line(version: str = "7", second: int = 1, **more: Any) -> dict[str, Any]:
    return {
        "time": f"2026-11-28T09:00:{second:02}.000000+00:00",
        "version": version,
        "id": "a",
        "input": {"minutes": 12, "plan": "gold", "name": "Ada"},
        "output": {"p": 0.9, "decided": True},
        **more,
    }


def test_inputs_and_answers_are_counted_by_arm_one_of_each_request() -> None:
    arms = {"7": "live", "8": "candidate"}
    counting = Counting(arms, FIELDS, answer_of(BINARY, None))  # type: ignore[arg-type]
    lines = [
        line(),
        line(row=0),
        line(row=1),  # of the same request
        line("8", input={"minutes": None, "plan": "silver"}, output={"p": 0, "decided": False}),
        line("8", input={"minutes": 20, "plan": None}),
        line("6"),
        line(time="2026-11-28T08:59:59+00:00"),
        line("8", input="damaged", output="damaged"),
        {"version": "7"},
    ]
    assert seen(lines, counting, lambda _: False) == {
        "live": ({"minutes": {"10 to 20": 2}, "plan": {"gold": 2}}, {"positive": 2}),
        "candidate": (
            {"minutes": {"missing": 1, "from 20": 1}, "plan": {"unknown": 1, "missing": 1}},
            {"negative": 1, "positive": 1},
        ),
    }


def test_of_a_client_that_stays_with_its_arm_one_row_counts(tmp_path: Path) -> None:
    units = Units(tmp_path / "units")
    counting = Counting({"7": "live"}, FIELDS[1:], by_id=True)
    lines = [line(id="a"), line(id="a"), line(id="b"), line(id=None)]
    found = seen(lines, counting, lambda name: units.is_new(1, f"{ord(name):016x}"))
    assert found["live"] == ({"plan": {"gold": 2}}, {})


@pytest.mark.parametrize(
    ("judge", "output", "answer"),
    [
        (CLASSES, {"class": "b"}, "b"),
        (RANKED, {"class": ["b", "a"]}, "b"),
        (NUMBERS, {"value": 12.0, "low": 1.0, "high": 20.0}, "10 to 20"),
    ],
)
def test_answers_of_each_task_are_counted(
    judge: Judge, output: dict[str, Any], answer: str
) -> None:
    of = answer_of(judge, FIELDS[0])
    assert of
    assert of(output) == answer


def test_a_log_is_followed_over_files_that_begin_grow_and_go(tmp_path: Path) -> None:
    (tmp_path / "1.jsonl").write_text('{"n": 0}\n')
    lines = PredictionLines(tmp_path)
    with (tmp_path / "1.jsonl").open("a") as file:
        file.write('{"n": 1}\nno JSON\n{"n": ')
    (tmp_path / "2.jsonl").write_text('{"n": 2}\n')
    assert [each["n"] for each in lines.news()] == [1, 2]
    with (tmp_path / "1.jsonl").open("a") as file:
        file.write("3}\n")
    assert [each["n"] for each in lines.news()] == [3]
    (tmp_path / "1.jsonl").unlink()
    assert not list(lines.news())


def test_clients_are_counted_once_in_each_share_also_after_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "units.seen"
    units = Units(path)
    ada, bo = "a" * 64, "b" * 64
    assert [units.is_new(1, each) for each in (ada, ada, bo)] == [True, False, True]
    units.keep()
    with path.open("a") as file:
        file.write("1 ccc")  # what a killed process left of a line
    units = Units(path)
    assert [units.is_new(1, ada), units.is_new(1, "d" * 64), units.is_new(2, ada)] == [
        *(False, True, True)
    ]
    units.keep()
    assert seen_in(path, 1) == {"a" * 16, "b" * 16, "d" * 16}
    assert seen_in(path, 2) == {"a" * 16}
    forget_units(tmp_path)
    assert seen_in(path, 1) is None
