"""The trials of a search, kept in a file so that a killed search continues, and their score.

The score of some settings is the highest rate in a closed loop that keeps the bound on p99.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import optuna
from optuna.distributions import BaseDistribution

from loadtests.bench.block import closed_block, warm_up
from loadtests.bench.target import Target
from loadtests.tuning.knobs import Knobs, with_knobs
from trimaran.repository.config import ModelConfig, format_config
from trimaran.serving.control import Control
from trimaran.system.errors import TrimaranError

__all__ = ["Score", "Tried", "Tuned", "best_load", "best_of", "digest_of", "foregone", "search"]


_CONNECTIONS = (1, 2, 4, 8, 16, 32, 64)
_PATIENCE = 2


@dataclass(frozen=True)
class Score:
    """The score of some settings. The rate is 0 where no load kept the bound."""

    rate: float
    """Rows per second."""
    p99_ms: float
    connections: int
    cpu_ms: float
    """Of the server, per row."""


class Tuned:
    """A private server whose models take settings, while nothing is written."""

    def __init__(self, control: Control, live: Mapping[str, ModelConfig]) -> None:
        self._control = control
        self._live = live
        self._loaded = {name: format_config(config) for name, config in live.items()}

    def apply(self, settings: Mapping[str, Knobs]) -> None:
        """Load every model whose settings differ from what is loaded. Raises `TrimaranError`."""
        for model, knobs in settings.items():
            wanted = with_knobs(self._live[model], knobs)
            text = format_config(wanted)
            if text != self._loaded[model]:
                self._control.load_given(wanted)
                self._loaded[model] = text


def best_load(target: Target, p99_ms: float, seconds: float) -> Score:
    """Load with more and more connections, until two in a row improve nothing."""
    warm_up(target)
    best = Score(0.0, float("inf"), 0, float("nan"))
    worse = 0
    for connections in _CONNECTIONS:
        block = closed_block(target, connections, seconds)
        run = block.run
        if block.outcome.interrupted:
            raise KeyboardInterrupt
        if run.invalid:
            raise TrimaranError(run.invalid)
        rate = run.rate * run.rows
        p99 = run.latency_ms["p99"]
        if p99 <= p99_ms and rate > best.rate:
            best = Score(rate, p99, connections, (run.server_cpu_ms or 0.0) / run.rows)
            worse = 0
        else:
            if not best.connections and p99 < best.p99_ms:
                best = Score(0.0, p99, 0, (run.server_cpu_ms or 0.0) / run.rows)
            worse += 1
        if worse == _PATIENCE:
            break
    return best


@dataclass(frozen=True)
class Tried:
    """One trial: its parameters by name, and its score or why it has none."""

    number: int
    parameters: Mapping[str, int]
    score: Score | None
    problem: str = ""

    @property
    def rate(self) -> float:
        """Rows per second; 0 where no load kept the bound, or the settings were refused."""
        return self.score.rate if self.score else 0.0


def best_of(tried: Sequence[Tried]) -> Tried:
    """The trial with the highest rate; of equal ones the first."""
    return max(tried, key=lambda trial: trial.rate)


def foregone(tried: Sequence[Tried], p99_ms: float) -> tuple[str, bool] | None:
    """What can be said without a comparison of the best with the present settings, the first trial.

    And whether that is a verdict: there is none where nothing else could be measured. `None` where
    a comparison decides.
    """
    first, best = tried[0], best_of(tried)
    refused = [trial for trial in tried if trial.score is None]
    if first.score is None:
        return f"the present settings could not be measured: {first.problem}", False
    if refused and len(refused) == len(tried) - 1:
        words = f"trial {refused[0].number}: {refused[0].problem}"
        return f"all other settings were refused, {words}", False
    if not best.rate:
        return f"no settings keep p99 within {p99_ms:g} ms", True
    if best is first:
        more = f", and {len(refused)} were refused" if refused else ""
        return f"the present settings are the best of {len(tried) - len(refused)}{more}", True
    return None


def digest_of(**decisive: object) -> str:
    """A name for a search from everything that decides it."""
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
    on_trial: Callable[[Tried], None],
) -> list[Tried]:
    """Trials by Optuna's tree-structured Parzen estimator, the present settings first.

    Trials in `storage` are reported and not repeated. Settings that the server refuses count as
    the worst. An interrupt ends the search and keeps the finished trials.
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
        on_trial(tried)
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
            on_trial(found[-1])
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
