from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.trimaran.training.tabular.customers import SCHEMA, TOML, problem, recipe
from trimaran.system.errors import TrimaranError, UsageError
from trimaran.training.tabular.data.schema import parse_schema
from trimaran.training.tabular.evaluation.costs import (
    Costs,
    by_threshold,
    cheapest_threshold,
    compared,
)
from trimaran.training.tabular.evaluation.metrics import Confusion, decide
from trimaran.training.tabular.learning.hyperparameters import Hyperparameters
from trimaran.training.tabular.runs.run import train
from trimaran.training.tabular.tasks.binary import Binary
from trimaran.training.tabular.tasks.costed import CostedBinary
from trimaran.training.tabular.tasks.multiclass import Multiclass
from trimaran.training.tabular.tasks.named import task_of, with_costs


def drawn(rows: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    """Outcomes, and their exact probabilities."""
    generator = np.random.default_rng(0)
    probability = generator.beta(0.5, 4, rows).astype(np.float32)
    return generator.random(rows) < probability, probability


def test_the_cost_at_each_threshold_is_that_of_its_decisions() -> None:
    target, probability = drawn(300)
    costs = Costs(7, 2)
    thresholds, cost = by_threshold(target, probability, costs)
    decided = [Confusion.of(target, decide(probability, each)) for each in thresholds]
    assert cost.tolist() == pytest.approx([costs.of_confusion(each) for each in decided])
    assert decided[0].true_negative + decided[0].false_negative == 0
    assert decided[-1].true_positive + decided[-1].false_positive == 0


def test_two_neighbouring_float32_have_a_threshold_between_them() -> None:
    low = np.float32(0.3)
    high = np.nextafter(low, np.float32(1))
    target, probability = np.array([False, True]), np.array([low, high])
    chosen = cheapest_threshold(target, probability, Costs(1, 1))
    assert decide(probability, chosen).tolist() == [False, True]


@pytest.mark.parametrize(("missed", "alarm"), [(100, 5), (3, 1), (1, 1)])
def test_of_exact_probabilities_the_threshold_is_the_share_of_the_alarm(
    missed: float, alarm: float
) -> None:
    target, probability = drawn()
    chosen = cheapest_threshold(target, probability, Costs(missed, alarm))
    assert chosen == pytest.approx(alarm / (missed + alarm), abs=0.02)


def test_costs_of_one_decision_for_all_rows_are_worked_out_by_hand() -> None:
    target = np.array([True] * 10 + [False] * 90)
    found = compared(target, target.astype(np.float32), Costs(50, 2), {"own": 0.5}, 0)
    assert {name: one.value for name, one in found.items()} == {
        "own": 0,
        "always_no": 5000,
        "always_yes": 1800,
    }
    low, high = found["always_no"].low, found["always_no"].high
    # A binomial of 100 rows and 10 %: its 2.5 % and 97.5 % quantiles are 5 and 16.
    assert (low, high) == pytest.approx((2500, 8000), abs=500)


@pytest.mark.parametrize(
    ("costs", "said"),
    [
        ({"cost_missed": -1.0, "cost_alarm": 1.0}, "a missed positive row is -1; it must be a"),
        ({"cost_missed": 1.0, "cost_alarm": 0.0}, "a false alarm is 0; it must be a number above"),
        ({"cost_missed": float("nan"), "cost_alarm": 1.0}, "row is nan; it must be a number above"),
        ({"cost_missed": 1.0, "cost_alarm": float("inf")}, "is inf; it must be a number above 0"),
        ({"cost_alarm": 1.0}, "a false alarm is stated, and that of a missed positive row is not"),
    ],
)
def test_costs_that_are_none_are_refused(costs: Mapping[str, float], said: str) -> None:
    with pytest.raises(UsageError) as refused:
        with_costs(Binary("yes"), costs)
    assert said in str(refused.value)
    lines = "\n".join(f"{key} = {value}" for key, value in costs.items())
    with pytest.raises(TrimaranError) as refused:
        parse_schema(f"{lines}\n{TOML}", "s")
    assert said in str(refused.value)


def test_options_replace_the_costs_of_a_schema() -> None:
    schema = parse_schema(f"cost_missed = 100\ncost_alarm = 5\n{TOML}", "s")
    assert schema.task == CostedBinary("yes", 100, 5)
    assert task_of(json.loads(json.dumps(schema.task.as_dict()))) == schema.task
    assert with_costs(schema.task, {"cost_alarm": 20}) == CostedBinary("yes", 100, 20)
    with pytest.raises(UsageError, match="are for the task binary; leave them out for multiclass"):
        with_costs(Multiclass(), {"cost_missed": 1, "cost_alarm": 1})
    with pytest.raises(TrimaranError, match="for the task regression, there is no key 'cost_al"):
        parse_schema(
            'task = "regression"\ncost_alarm = 5\n' + TOML.replace("positive", "ignored"), "s"
        )


def test_a_run_with_costs_reports_them(tmp_path: Path) -> None:
    about = problem()
    about = replace(about, schema=replace(SCHEMA, task=CostedBinary("yes", 100, 5)))
    run = train(about, recipe(Hyperparameters(network="linear")), 0, tmp_path)
    test = run.metrics()["test"]
    found = test["confusion"]
    wrong = 100 * found["false_negative"] + 5 * found["false_positive"]
    assert test["cost"] == pytest.approx(1000 * wrong / test["rows"])
    assert test["cost_interval"][0] <= test["cost"] <= test["cost_interval"][1]
    assert test["compared"]["always_no"]["value"] == pytest.approx(
        1e5 * test["positives"] / test["rows"]
    )
    assert set(test["compared"]) == {"f1_threshold", "always_no", "always_yes"}
    assert run.module().threshold == np.float32(run.metrics()["threshold"])
    html = (run.directory / "report.html").read_text()
    assert "A positive row that is missed costs 100, a false alarm 5" in html
