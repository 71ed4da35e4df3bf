"""What follows a retrained run that passed its gates, and what keeps it from going live unseen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.rollout.test_states import lines, released
from trimaran.cli.planned_canary import planned_canary
from trimaran.repository.repository import Repository
from trimaran.rollout.experiments.experiment import Experiment
from trimaran.rollout.experiments.observed import Observed
from trimaran.rollout.experiments.plan import Errors, Plan
from trimaran.rollout.retrain_plan import Canary
from trimaran.rollout.retraining.ahead import ahead_of, awaited, canary_of
from trimaran.rollout.runs.decisions import ledger_of, require_no_waiting_run
from trimaran.rollout.runs.run import Run, runs_of
from trimaran.rollout.traffic.orders import Order, alone, going_of
from trimaran.system.errors import TrimaranError, UsageError

LIVE = released("shop/1", 1)
PASSED = [
    ("begun", "shop/2", {"data": "a table", "again": "calls drifted"}),
    ("compared", "shop/2", {"live": "shop/1", "failed": []}),
    ("finished", "shop/2", {}),
]
PREPARED = ("prepared", "shop/2", {"parts": {"shop": 2, "shop_record": 5}})


def tried(verdict: str) -> tuple[str, str, dict[str, Any]]:
    return ("tried", "shop/2", {"experiment": "shop/1", "verdict": verdict, "why": "so"})


def reviewed(answer: str) -> tuple[str, str, dict[str, Any]]:
    return ("reviewed", "shop/2", {"answers": {"bias": {"answer": answer}}})


def run_of(*more: tuple[str, str, dict[str, Any]]) -> tuple[Run, Run]:
    """The retrained run, and the first one."""
    runs = runs_of(lines(*LIVE, *PASSED, *more))
    return runs["shop/2"], runs["shop/1"]


@pytest.mark.parametrize(
    ("more", "canary", "deploys", "found"),
    [
        ([], False, False, None),
        ([], True, False, "canary"),
        ([], False, True, "deployment"),
        ([PREPARED], True, True, "canary"),
        ([tried("promote")], True, False, None),
        ([tried("promote")], True, True, "deployment"),
        ([tried("abort")], True, True, None),
        ([tried("inconclusive")], True, True, None),
        ([tried("abort")], False, True, "deployment"),
        ([reviewed("yes")], True, True, "canary"),
        ([reviewed("no")], True, True, None),
        ([tried("promote"), reviewed("no")], True, True, None),
        ([("ignored", "shop/2", {"why": "a try"})], True, True, None),
        ([("compared", "shop/2", {"live": "shop/1", "failed": ["slices"]})], True, True, None),
        ([("compared", "shop/2", {"live": "shop/0", "failed": []})], True, True, None),
        ([("deployed", "shop/2", {})], True, True, None),
    ],
)
def test_what_is_still_to_be_done(
    more: list[Any], canary: bool, deploys: bool, found: str | None
) -> None:
    assert ahead_of(*run_of(*more), canary=canary, deploys=deploys) == found


def test_a_canary_is_planned_by_the_options_of_the_command(repository: Repository) -> None:
    plan = Canary({"longest": "1d", "steps": "10,100", "each": "1h", "longer-p99": 0, "key": "id"})
    assert planned_canary(repository, "shop", plan, 3) == Order(
        "canary",
        "shop",
        3,
        Plan((0.1,), Errors(0.005), None, longest_s=86400),
        3600,
        "id",
    )


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"step": "5,100"}, "there is no key 'step'; did you mean 'steps'?"),
        ({"release": 3}, "there is no key 'release'"),
        ({"deploy": True}, "there is no key 'deploy'"),
        ({"steps": "5,50"}, "--steps is '5,50'; expected rising percents that end with 100"),
        ({"steps": [5, 100]}, r"steps is \[5, 100\]; expected a text, a number or true"),
        ({"each": "soon"}, "--each is 'soon'"),
        ({"margin": "wide"}, "'--margin': Input should be a valid number"),
        ({"goal": "sales:0:9"}, "needs the header that names them"),
        ({"plan": "nowhere.toml"}, "nowhere.toml: cannot be read"),
    ],
)
def test_a_mistake_in_a_planned_canary_is_named(
    repository: Repository, options: dict[str, Any], says: str
) -> None:
    with pytest.raises(UsageError, match=rf"^rollout\.toml, \[shop\.retrain\.canary\]: .*{says}"):
        planned_canary(repository, "shop", Canary(options), 3)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    found = Repository.create(tmp_path / "model_repository")
    with ledger_of(found).writing() as writer:
        for event, run, details in (*LIVE, *PASSED, PREPARED):
            writer.add("anna", event, run, details)
    return found


def test_what_serves_a_run_that_waits_is_not_deployed_by_its_number(repository: Repository) -> None:
    with pytest.raises(TrimaranError, match="shop_record 5 serves shop/2, which is pending; revie"):
        require_no_waiting_run(repository, "shop_record", 5)
    require_no_waiting_run(repository, "shop", 1)
    require_no_waiting_run(repository, "shop", 9)
    with ledger_of(repository).writing() as writer:
        writer.add("anna", "ignored", "shop/2", {"why": "a try"})
    with pytest.raises(TrimaranError, match="shop 2 serves shop/2, which is ignored; name anoth"):
        require_no_waiting_run(repository, "shop", 2)


def test_a_canary_waits_for_others_and_finds_its_own(repository: Repository) -> None:
    run, _ = run_of(PREPARED)
    assert awaited(repository, run) == ""
    with alone(repository, "shop"):
        assert awaited(repository, run).startswith("another process conducts an experiment of shop")
    its_own = Experiment.begin(repository, "shop", "canary", "1", "2", Plan(), by="anna")
    found = canary_of(repository, run)
    assert found
    assert found.state.name == its_own.state.name == "shop/1"
    assert awaited(repository, run) == ""


@pytest.mark.parametrize(("live", "word"), [(2, "promote"), (3, "inconclusive")])
def test_an_experiment_that_was_left_when_another_release_became_live_is_ended(
    repository: Repository, live: int, word: str
) -> None:
    plan = Plan(latency=None)
    left = Experiment.begin(repository, "shop", "canary", "1", "2", plan, by="anna")
    many = Observed(requests=5000, units=5000)
    assert left.observe(many, many).word == "promote"
    assert going_of(repository, Order("canary", "shop", 9, plan), live, "bo") is None
    decision = Experiment.open(repository, "shop/1").state.decision
    assert decision
    assert decision.word == word
