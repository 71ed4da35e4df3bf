"""`trimaran check` compared with the real server: it never passes what the server refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from proofs.mutations.__main__ import hold_trials
from proofs.mutations.confusion import Confusion, page
from proofs.mutations.repositories import GOOD
from proofs.mutations.trial import KINDS, Outcome, make_trials
from tests.programs import COMPILER, require

COUNT = len(GOOD) + len(KINDS)
SEED = 2


@pytest.fixture(scope="module")
def outcomes() -> list[Outcome]:
    require(COMPILER)
    return list(hold_trials(COUNT, SEED))


@pytest.mark.long
def test_good_repositories_are_served_and_nothing_is_found_in_them(
    outcomes: list[Outcome],
) -> None:
    good = [outcome for outcome in outcomes if outcome.trial.kind == "none"]
    assert len(good) == len(GOOD)
    assert [(o.trial.good, o.checker, o.server) for o in good if o.checker or o.server] == []


@pytest.mark.long
def test_what_the_server_refuses_the_checker_refuses(outcomes: list[Outcome]) -> None:
    found = Confusion(outcomes)
    assert len(found.outcomes) == COUNT
    assert found.of(checker=True, server=True), "no mutation broke anything"
    assert [(o.trial.kind, o.trial.change, o.server) for o in found.missed] == []


@pytest.mark.long
def test_what_the_checker_refuses_alone_is_justified(outcomes: list[Outcome]) -> None:
    assert [
        (o.trial.kind, o.trial.change, o.checker) for o in Confusion(outcomes).unjustified
    ] == []


def test_every_kind_is_drawn_and_reported() -> None:
    require(COMPILER)
    outcomes = [Outcome(trial, None, None) for trial in make_trials(COUNT, SEED)]
    text = page(outcomes, "the command", "2.51.0")
    for kind in KINDS:
        assert f"| {kind} |" in text


def test_the_same_seed_draws_the_same_mutations(tmp_path: Path) -> None:
    require(COMPILER)
    first, again = (
        [(t.good, t.kind, t.change) for t in make_trials(COUNT, SEED)] for _ in range(2)
    )
    other = [(t.good, t.kind, t.change) for t in make_trials(COUNT, SEED + 1)]
    assert first == again
    assert first != other
