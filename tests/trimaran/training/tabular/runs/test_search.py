from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import optuna
import pytest

from tests.trimaran.training.tabular.customers import FAST, FAST_TABNET, problem, recipe
from trimaran.system.errors import TrimaranError
from trimaran.system.files import exclusive_lock
from trimaran.training.tabular.features.plan import FeaturePlan
from trimaran.training.tabular.learning.hyperparameters import Hyperparameters
from trimaran.training.tabular.runs.search import search, space

QUICK = replace(FAST, epochs=3, members=4, hidden=16)
QUICK_TABNET = replace(FAST_TABNET, epochs=2, units=8)


class KilledError(Exception):
    pass


def found(storage: Path, trials: int, hyper: Hyperparameters = QUICK, **options: object) -> object:
    arguments = {"objective": "log_loss", "watch": None, **options}
    return search(problem(300), recipe(hyper), 0, trials, storage=storage, **arguments)  # type: ignore[arg-type]


def values(storage: Path) -> list[tuple[dict[str, object], float | None]]:
    url = f"sqlite:///{storage}"
    (name,) = optuna.get_all_study_names(url)
    study = optuna.load_study(study_name=name, storage=url)
    failed = optuna.trial.TrialState.FAIL
    return [(each.params, each.value) for each in study.trials if each.state != failed]


@pytest.mark.parametrize(
    ("hyper", "objective"),
    [
        pytest.param(QUICK, "log_loss", id="mlp-log_loss"),
        pytest.param(QUICK_TABNET, "f1", id="tabnet-f1"),
        pytest.param(QUICK, "f1", id="mlp-f1", marks=pytest.mark.long),
        pytest.param(QUICK_TABNET, "log_loss", id="tabnet-log_loss", marks=pytest.mark.long),
    ],
)
def test_the_best_trial_is_returned(hyper: Hyperparameters, objective: str, tmp_path: Path) -> None:
    storage = tmp_path / "searches.db"
    best = found(storage, 3, hyper, objective=objective)
    done = [(params, value) for params, value in values(storage) if value is not None]
    choose = min if objective == "log_loss" else max
    assert best == replace(hyper, **choose(done, key=lambda each: each[1])[0])  # type: ignore[arg-type]
    own = {name: getattr(hyper, name) for name in space(hyper)}
    assert done[0][0] == own


@pytest.mark.long
def test_a_search_goes_on_where_it_was_killed(tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole.db", tmp_path / "killed.db"
    best = found(whole, 8)

    def watch(kill: int) -> object:
        def of(trial: int) -> object:
            def follow(number: int, *_: object) -> None:
                if (trial, number) == (kill, 1):
                    raise KilledError

            return follow

        return of

    for kill in (0, 3, 6):
        with pytest.raises(KilledError):
            found(killed, 8, watch=watch(kill))
    assert found(killed, 8) == best
    assert values(killed) == values(whole)


def test_the_largest_seed_has_a_search(tmp_path: Path) -> None:
    quick = replace(QUICK, epochs=1)
    search(problem(300), recipe(quick), 2**32 - 2, 2, "log_loss", tmp_path / "searches.db")
    assert len(values(tmp_path / "searches.db")) == 2


def test_a_table_that_cannot_be_split_is_reported(tmp_path: Path) -> None:
    storage = tmp_path / "searches.db"
    with pytest.raises(TrimaranError, match="positive rows; to train, validate and test it takes"):
        search(problem(40), recipe(QUICK), 0, 2, "log_loss", storage)
    assert not storage.exists()


def test_a_plan_that_does_not_fit_is_reported_and_is_no_failed_trial(tmp_path: Path) -> None:
    unfit = replace(recipe(QUICK), plan=FeaturePlan(leave_out=("color",)))
    with pytest.raises(TrimaranError, match="leave_out lists 'color', which is not a column"):
        search(problem(300), unfit, 0, 2, "log_loss", tmp_path / "searches.db")


def test_a_search_waits_for_another_process_that_does_the_same(tmp_path: Path) -> None:
    storage = tmp_path / "searches.db"
    found(storage, 1)
    (lock,) = tmp_path.glob(".*.lock")
    ended = threading.Event()

    def again() -> None:
        found(storage, 2)
        ended.set()

    with exclusive_lock(lock):
        waiting = threading.Thread(target=again)
        waiting.start()
        assert not ended.wait(0.5)
        assert len(values(storage)) == 1
    waiting.join(60)
    assert len(values(storage)) == 2


def test_enough_trials_are_not_repeated(tmp_path: Path) -> None:
    storage = tmp_path / "searches.db"
    best = found(storage, 2)
    assert found(storage, 2, watch=pytest.fail) == best
    assert len(values(storage)) == 2
