from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import optuna
import pytest

from tests.training.tabular.customers import FAST, FAST_TABNET, problem, recipe
from training.tabular.learning.search import search, space
from training.tabular.networks.hyperparameters import Hyperparameters

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


@pytest.mark.parametrize("hyper", [QUICK, QUICK_TABNET], ids=["mlp", "tabnet"])
@pytest.mark.parametrize("objective", ["log_loss", "f1"])
def test_the_best_trial_is_returned(hyper: Hyperparameters, objective: str, tmp_path: Path) -> None:
    storage = tmp_path / "searches.db"
    best = found(storage, 3, hyper, objective=objective)
    done = [(params, value) for params, value in values(storage) if value is not None]
    choose = min if objective == "log_loss" else max
    assert best == replace(hyper, **choose(done, key=lambda each: each[1])[0])  # type: ignore[arg-type]
    own = {name: getattr(hyper, name) for name in space(hyper)}
    assert done[0][0] == own


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


def test_enough_trials_are_not_repeated(tmp_path: Path) -> None:
    storage = tmp_path / "searches.db"
    best = found(storage, 2)
    assert found(storage, 2, watch=pytest.fail) == best
    assert len(values(storage)) == 2
