"""What may be decided about a run, by whom, and in which state; nothing is trained or served."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import trimaran
from trimaran import Answer
from trimaran.repository.repository import Repository
from trimaran.rollout.runs.checklist import ITEMS
from trimaran.rollout.runs.decisions import ledger_of
from trimaran.rollout.runs.deploying import deploy_run
from trimaran.rollout.runs.people import person
from trimaran.rollout.runs.settings import Settings, parse_settings
from trimaran.rollout.runs.states import State
from trimaran.system.errors import TrimaranError

RULES = parse_settings('[shop]\n[roles]\nreview = ["anna", "bo b", "ünä"]\n', Path("rollout.toml"))
YES = {name: Answer("yes", f"looked at {name}") for name in ITEMS}
BEGUN = ("begun", {"data": "shop.csv", "rules": "rollout.toml"})
FINISHED = ("finished", {"directory": "runs/shop/a", "reports": {"data": "runs/shop/run-1/d"}})
DEPLOYED = [("prepared", {"parts": {"shop": 1}}), ("deployed", {})]
LINES: dict[State, list[tuple[str, dict[str, Any]]]] = {
    State.UNFINISHED: [BEGUN],
    State.PENDING: [BEGUN, FINISHED],
    State.DEPLOYED: [BEGUN, FINISHED, *DEPLOYED],
    State.PERSISTED: [BEGUN, FINISHED, DEPLOYED[0], ("deployed", {"persist": True})],
    State.REPLACED: [BEGUN, FINISHED, *DEPLOYED, ("live", {"release": 9})],
    State.IGNORED: [BEGUN, FINISHED, ("ignored", {"why": "so"})],
}


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository.create(tmp_path / "model_repository")


def told(repository: Repository, lines: list[tuple[str, dict[str, Any]]]) -> None:
    with ledger_of(repository).writing() as writer:
        for event, details in lines:
            writer.add("anna", event, "shop" if event == "live" else "shop/1", details)


def never(*_: Any) -> Any:
    raise AssertionError


def failing(*_: Any) -> Any:
    raise TrimaranError("the export differs from PyTorch")


DECISIONS: dict[str, Callable[[Repository, str], object]] = {
    "review": lambda found, by: trimaran.review(
        "shop/1", YES, by=by, repository=found, settings=RULES
    ),
    "approve": lambda found, by: trimaran.approve(
        "shop/1", by=by, repository=found, settings=RULES
    ),
    "ignore": lambda found, by: trimaran.ignore(
        "shop/1", "a try", by=by, repository=found, settings=RULES
    ),
    "deploy": lambda found, by: deploy_run(found, RULES, "shop/1", by, never),
}


@pytest.mark.parametrize("state", [state for state in State if state is not State.PENDING])
@pytest.mark.parametrize("decision", DECISIONS)
def test_only_a_pending_run_is_decided_about(
    repository: Repository, decision: str, state: State
) -> None:
    told(repository, LINES[state])
    before = ledger_of(repository).path.read_bytes()
    (shown,) = trimaran.runs(repository=repository)
    assert shown.state == state
    with pytest.raises(TrimaranError, match=f"^shop/1 is {state}, and only a pending run can be"):
        DECISIONS[decision](repository, "anna")
    assert ledger_of(repository).path.read_bytes() == before


def test_a_run_is_reviewed_approved_and_looked_at_from_python(repository: Repository) -> None:
    told(repository, LINES[State.PENDING])
    with pytest.raises(TrimaranError, match="shop/1 has no review to approve"):
        DECISIONS["approve"](repository, "anna")
    for missing in ITEMS:
        some = {name: each for name, each in YES.items() if name != missing}
        with pytest.raises(TrimaranError, match=f"^{missing} is not answered"):
            trimaran.review("shop/1", some, by="anna", repository=repository, settings=RULES)
    assert trimaran.checklist("shop/1", repository)["goal"].question == ITEMS["goal"]
    DECISIONS["review"](repository, "anna")
    DECISIONS["approve"](repository, "bo b")
    DECISIONS["review"](repository, "anna")  # needs its approvals anew
    found = DECISIONS["approve"](repository, "ünä")
    assert isinstance(found, type(trimaran.runs("shop", repository)[0]))
    assert (found.reviewed_by, found.approved_by, found.state) == ("anna", ("ünä",), "pending")
    assert found.directory == repository.root.parent / "runs/shop/a"
    lines = trimaran.history("shop/1", repository)
    assert [(each.by, each.event) for each in lines[-2:]] == [
        ("anna", "reviewed"),
        ("ünä", "approved"),
    ]
    with pytest.raises(TrimaranError, match="there is no run of 'shp'; did you mean 'shop'"):
        trimaran.runs("shp", repository)


def test_a_changed_ledger_shows_what_stands_before_the_change(repository: Repository) -> None:
    told(repository, LINES[State.IGNORED])
    path = ledger_of(repository).path
    path.write_bytes(path.read_bytes().replace(b'"why": "so"', b'"why": "no"'))
    with pytest.raises(TrimaranError, match="line 3 was changed") as refused:
        trimaran.runs(repository=repository)
    (found,) = refused.value.found  # type: ignore[attr-defined]
    assert found.state == "pending"


@pytest.mark.parametrize("by", ["carl", "Anna", "bo", "una", "anna,bo b"])
@pytest.mark.parametrize("decision", ["review", "approve"])
def test_who_is_not_named_may_not(repository: Repository, decision: str, by: str) -> None:
    told(repository, LINES[State.PENDING])
    said = f"^{by} may not {decision} a run: .* in rollout.toml allows anna, bo b, ünä$"
    with pytest.raises(TrimaranError, match=said):
        DECISIONS[decision](repository, by)


@pytest.mark.parametrize("given", ["", "  ", "a\nb", "a\x07", "x" * 101])
def test_a_name_is_a_line_that_can_be_shown(given: str) -> None:
    with pytest.raises(TrimaranError, match=r"^--by is .*; name a person, in at most 100 "):
        person(given)
    assert person(" Änna 漢 ") == "Änna 漢"


@pytest.mark.parametrize(
    ("why", "says"),
    [
        (" \n", "--why has no note; say why"),
        ("x" * 2001, "--why has a note of 2,001 characters; 2,000 are the most"),
        ("a\x07b", "--why has a note with characters that cannot be shown"),
    ],
)
def test_a_run_is_ignored_for_a_reason(repository: Repository, why: str, says: str) -> None:
    told(repository, LINES[State.PENDING])
    with pytest.raises(TrimaranError, match=says):
        trimaran.ignore("shop/1", why, by="anna", repository=repository, settings=RULES)


def test_the_rules_by_which_a_run_began_must_be_here(repository: Repository) -> None:
    told(repository, LINES[State.PENDING])
    with pytest.raises(TrimaranError, match=r"began by the rules of rollout.toml, and there is no"):
        trimaran.ignore("shop/1", "so", by="anna", repository=repository, settings=Settings())
    assert trimaran.runs("shop", repository)[0].state == "pending"


def test_a_deployment_that_cannot_begin_leaves_the_run_as_it_was(repository: Repository) -> None:
    told(repository, LINES[State.PENDING])
    DECISIONS["review"](repository, "anna")
    before = ledger_of(repository).path.read_bytes()
    with pytest.raises(TrimaranError, match="runs/shop/a, the directory of shop/1, is gone"):
        DECISIONS["deploy"](repository, "anna")
    assert ledger_of(repository).path.read_bytes() == before

    trained = repository.root.parent / "runs/shop/a"
    trained.mkdir(parents=True)
    (trained / "metrics.json").write_text("{}")
    with pytest.raises(TrimaranError, match="the export differs"):
        deploy_run(repository, RULES, "shop/1", "anna", failing)
    (found,) = trimaran.runs("shop", repository)
    assert (found.state, found.deploying) == ("pending", False)
    assert found.did == "did not deploy shop/1: the export differs from PyTorch"
    DECISIONS["ignore"](repository, "anna")
    assert trimaran.runs("shop", repository)[0].state == "ignored"
