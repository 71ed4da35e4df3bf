"""A search for better hyperparameters; a killed one is resumed.

Optuna's tree-structured Parzen estimator proposes values. Its median pruner stops a trial that is
worse than half of the earlier trials at the same epoch. A SQLite file holds the trials.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from trimaran.system.errors import TrimaranError, UsageError
from trimaran.system.files import exclusive_lock
from trimaran.training.tabular.data.split import Split
from trimaran.training.tabular.learning.fitting import DivergedError, Epoch
from trimaran.training.tabular.learning.hyperparameters import Hyperparameters
from trimaran.training.tabular.learning.learn import Problem, Watch, learn
from trimaran.training.tabular.runs.config import Config, Recipe
from trimaran.training.tabular.tasks.task import Predictions, Target, Task
from trimaran.training.tabular.wording import nearest

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import BaseDistribution

__all__ = ["search", "space"]

_STARTUP_TRIALS = 5
_WARMUP_EPOCHS = 5
_MOST_TRIALS = 1_000_003
_SEEDS = 2**32


def search(
    problem: Problem,
    recipe: Recipe,
    seed: int,
    trials: int,
    objective: str | None,
    storage: Path,
    watch: Callable[[int], Watch] | None = None,
) -> Hyperparameters:
    """The best hyperparameters of `trials` trials; `storage` may already hold some of them.

    `objective` is one of the task's, such as `log_loss` or `f1`, on the validation part; None is
    the loss. The first trial has the recipe's own values. Each proposal follows from the seed and
    the finished trials, so a resumed search proposes the same values as an uninterrupted one.
    `watch(trial)`, with the trial from 0, gives the function that is called after each of its
    epochs. Two processes with the same work wait for one another. Raises `UsageError` without
    Optuna, and `TrimaranError` for a table that cannot be split, a plan that does not fit it, or if
    no trial ends with a finite loss.
    """
    try:
        import optuna
    except ModuleNotFoundError as error:
        raise UsageError(
            "--trials needs Optuna, which is not installed; "
            "run pip install '.[train]' in trimaran's checkout"
        ) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    split = problem.split(seed)
    objective, improved = _objective(problem.task, objective)
    name = _study_name(problem, recipe, seed, objective)
    with exclusive_lock(storage.with_name(f".{name}.lock")):
        study = optuna.create_study(
            study_name=name,
            storage=f"sqlite:///{storage.resolve()}",
            direction="minimize" if improved == "loss" else "maximize",
            pruner=optuna.pruners.MedianPruner(_STARTUP_TRIALS, _WARMUP_EPOCHS),
            load_if_exists=True,
        )
        _abandon_killed(study)
        if not _finished(study):
            _enqueue_own(study, recipe.hyper)
        while (finished := _finished(study)) < trials:
            sampler_seed = (seed * _MOST_TRIALS + finished) % _SEEDS
            study.sampler = optuna.samplers.TPESampler(seed=sampler_seed)
            trial = study.ask(space(recipe.hyper))
            hyper = replace(recipe.hyper, **trial.params)
            proposed = replace(recipe, hyper=hyper)
            follow = watch(finished) if watch is not None else None
            try:
                value = _trial(problem, split, proposed, seed, improved, trial, follow)
            except (optuna.TrialPruned, DivergedError):
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            else:
                study.tell(trial, value)
    try:
        best = study.best_trial
    except ValueError as error:
        raise TrimaranError(
            f"none of {trials} trials ended with a finite loss; look at the data with "
            "'trimaran explore'"
        ) from error
    return replace(recipe.hyper, **best.params)


def space(own: Hyperparameters) -> dict[str, BaseDistribution]:
    """The hyperparameters that a trial changes, for the network of `own`, with their bounds.

    A list of choices includes the value of `own`.
    """
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    def among(name: str, *values: int) -> BaseDistribution:
        return CategoricalDistribution(sorted({*values, getattr(own, name)}))

    common: dict[str, BaseDistribution] = {
        "leaf_nodes": IntDistribution(4, 32),
        "min_leaf": IntDistribution(5, 40, log=True),
        "dropout": FloatDistribution(0.0, 0.5),
        "learning_rate": FloatDistribution(5e-4, 2e-2, log=True),
        "weight_decay": FloatDistribution(1e-3, 1.0, log=True),
        "batch_size": among("batch_size", 128, 256, 512),
    }
    if own.network == "mlp":
        return common | {
            "members": among("members", 4, 8, 16),
            "hidden": among("hidden", 16, 32, 64),
            "depth": IntDistribution(1, 3),
        }
    return common | {
        "steps": IntDistribution(2, 5),
        "units": among("units", 8, 16, 32),
        "relaxation": FloatDistribution(1.0, 2.0),
    }


def _trial(
    problem: Problem,
    split: Split,
    recipe: Recipe,
    seed: int,
    improved: str,
    trial: optuna.Trial,
    watch: Watch | None,
) -> float:
    """Fit once. Raises `TrialPruned` if it is worse than earlier trials."""
    import optuna

    target = problem.target[split.validation]
    seen: list[float] = []

    def follow(number: int, epoch: Epoch, predictions: Predictions) -> None:
        if watch is not None:
            watch(number, epoch, predictions)
        value = epoch.validation_loss
        if improved != "loss":
            value = _score(problem.task, target, predictions)
        seen.append(value)
        trial.report(value, number)
        if trial.should_prune():
            raise optuna.TrialPruned

    learned = learn(problem, split, recipe.plan, recipe.hyper, seed, None, follow)
    return seen[learned.fitted.best]


def _objective(task: Task, named: str | None) -> tuple[str, str]:
    """The objective's name, and `loss` or `score`. Raises `UsageError` for another task's."""
    name = next(iter(task.objectives)) if named is None else named
    if name not in task.objectives:
        raise UsageError(
            f"the task {task.name} has no objective {name!r}; {nearest(name, task.objectives)}"
        )
    return name, task.objectives[name]


def _score(task: Task, target: Target, predictions: Predictions) -> float:
    return task.measure(target, predictions, task.choose(target, predictions))[1]


def _enqueue_own(study: optuna.Study, hyper: Hyperparameters) -> None:
    """Make the recipe's own values the first trial, once, even if earlier processes were killed."""
    import optuna

    if not study.get_trials(states=(optuna.trial.TrialState.WAITING,)):
        study.enqueue_trial({name: getattr(hyper, name) for name in space(hyper)})


def _study_name(problem: Problem, recipe: Recipe, seed: int, objective: str) -> str:
    config = Config.of(problem, recipe, seed)
    text = json.dumps([config.digest(), objective])
    return f"{config.name}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def _abandon_killed(study: optuna.Study) -> None:
    """Fail running trials: they are of killed processes, since this process holds the lock."""
    import optuna

    for trial in study.get_trials(states=[optuna.trial.TrialState.RUNNING]):
        study.tell(trial.number, state=optuna.trial.TrialState.FAIL)


def _finished(study: optuna.Study) -> int:
    import optuna

    states = optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED
    return len(study.get_trials(states=states))
