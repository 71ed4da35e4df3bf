"""How a run moves, and how the ledger's lines make its state."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from trimaran.rollout.ledger import Entry
from trimaran.rollout.runs.run import live_run, runs_of, seen
from trimaran.rollout.runs.states import Move, State, moved
from trimaran.system.errors import TrimaranError

ALLOWED = {
    ("unfinished", "finish"): "pending",
    ("pending", "review"): "pending",
    ("pending", "approve"): "pending",
    ("pending", "deploy"): "deployed",
    ("pending", "persist"): "persisted",
    ("pending", "ignore"): "ignored",
    ("deployed", "replace"): "replaced",
    ("persisted", "replace"): "replaced",
    ("replaced", "return"): "deployed",
    ("replaced", "return persisted"): "persisted",
}


def test_a_run_moves_only_as_the_table_says() -> None:
    for state, move in product(State, Move):
        expected = ALLOWED.get((state, move))
        if expected is not None:
            assert moved("churn/1", state, move) == expected
        else:
            with pytest.raises(TrimaranError, match=rf"^churn/1 is {state}, and only an? "):
                moved("churn/1", state, move)


def lines(*told: tuple[str, str] | tuple[str, str, dict[str, Any]]) -> list[Entry]:
    """Entries of (event, run) or (event, run, details)."""
    return [
        Entry(number, f"2026-11-28T00:00:{number:02}Z", "anna", each[0], each[1], dict(*each[2:]))
        for number, each in enumerate(told, start=1)
    ]


def released(run: str, release: int, *, persist: bool = False) -> list[tuple[str, str, Any]]:
    """What a run's whole life up to its deployment is."""
    name = run.partition("/")[0]
    return [
        ("begun", run, {"data": "a table"}),
        ("finished", run, {}),
        ("deploying", run, {"persist": persist}),
        ("prepared", run, {"parts": {name: release}}),
        ("deployed", run, {"persist": persist}),
    ]


TWO = [*released("churn/1", 1, persist=True), *released("churn/2", 2), *released("shop/1", 1)]


@pytest.mark.parametrize(
    ("more", "states"),
    [
        ([], ["replaced", "deployed", "deployed"]),
        ([("live", "churn", {"release": 1})], ["persisted", "replaced", "deployed"]),
        (
            [*released("churn/3", 3)[:-1], ("live", "churn", {"release": 3})],
            ["replaced", "replaced", "deployed", "deployed"],
        ),
        ([("live", "churn", {"release": 9})], ["replaced", "replaced", "deployed"]),
        (
            [("live", "churn", {"release": 1}), ("live", "churn", {"release": 2})],
            ["replaced", "deployed", "deployed"],
        ),
    ],
)
def test_the_state_follows_what_is_live(more: list[Any], states: list[str]) -> None:
    assert [run.state for run in runs_of(lines(*TWO, *more)).values()] == states


def test_the_ledger_catches_up_with_the_disk() -> None:
    runs = runs_of(lines(*TWO))
    assert seen(runs, "churn", 2) is None
    assert seen(runs, "churn", None) is None
    assert seen(runs, "never", 4) is None
    found = seen(runs, "churn", 1)
    assert found
    assert (found.event, found.details) == ("live", {"release": 1})


def test_a_deployment_killed_after_its_switch_is_told_as_its_persons() -> None:
    killed = released("churn/3", 3, persist=True)[:-1]
    runs = runs_of(lines(*TWO, *killed))
    assert runs["churn/3"].is_deploying
    found = seen(runs, "churn", 3)
    assert found
    assert (found.by, found.event, found.run) == ("anna", "deployed", "churn/3")
    after = runs_of(lines(*TWO, *killed, (found.event, found.run, dict(found.details))))
    live = live_run(after, "churn")
    assert live
    assert (live.id, live.state) == ("churn/3", "persisted")
    assert after["churn/2"].state == "replaced"
