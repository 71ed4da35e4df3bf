"""The trials of a search, remembered in a file, so that a killed search goes on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import optuna
from optuna.distributions import BaseDistribution

from loadtests.tuning.trial import Score
from trimaran.system.errors import TrimaranError

__all__ = ["Tried", "digest_of", "search"]


@dataclass(frozen=True)
class Tried:
    """One trial: its parameters by name, and its score or why it has none."""

    number: int
    parameters: Mapping[str, int]
    score: Score | None
    problem: str = ""


def digest_of(**decisive: object) -> str:
    """A name for a search by everything that decides it."""
    text = json.dumps(decisive, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def search(
    distributions: Mapping[str, BaseDistribution],
    present: Mapping[str, int],
    measure: Callable[[Mapping[str, int]], Score],
    *,
    trials: int,
    seed: int,
    storage: Path,
    tell: Callable[[Tried], None],
) -> list[Tried]:
    """Trials by Optuna's tree-structured Parzen estimator, the present settings first.

    Those that `storage` holds already are told and not repeated. Settings that the server refuses
    count as the worst. An interrupt ends the search and keeps the finished trials.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage.parent.mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(
        study_name="tune",
        storage=f"sqlite:///{storage.resolve()}",
        direction="maximize",
        load_if_exists=True,
    )
    for trial in study.get_trials(states=[optuna.trial.TrialState.RUNNING]):
        study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
    found = [_tried(trial) for trial in _finished(study)]
    for tried in found:
        tell(tried)
    if not study.get_trials(deepcopy=False):
        study.enqueue_trial(dict(present))
    try:
        while len(found) < trials:
            study.sampler = optuna.samplers.TPESampler(seed=seed * 1000 + len(found))
            trial = study.ask(dict(distributions))
            try:
                score = measure(trial.params)
            except TrimaranError as error:
                trial.set_user_attr("problem", str(error))
                study.tell(trial, 0.0)
            else:
                trial.set_user_attr("score", asdict(score))
                study.tell(trial, score.rate)
            found = [_tried(finished) for finished in _finished(study)]
            tell(found[-1])
    except KeyboardInterrupt:
        if not found:
            raise
    return found


def _finished(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    return study.get_trials(deepcopy=False, states=[optuna.trial.TrialState.COMPLETE])


def _tried(trial: optuna.trial.FrozenTrial) -> Tried:
    given = trial.user_attrs.get("score")
    score = Score(**given) if given else None
    return Tried(trial.number, trial.params, score, trial.user_attrs.get("problem", ""))
