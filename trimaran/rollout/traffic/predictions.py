"""What an experiment takes from the prediction log: inputs, answers, and late outcomes."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from trimaran.repository.repository import Repository
from trimaran.rollout.experiments.experiment import Experiment
from trimaran.rollout.experiments.observed import Observed
from trimaran.rollout.experiments.plan import Goal, Plan
from trimaran.rollout.experiments.segments import ArmName
from trimaran.rollout.traffic.answered import Counting, PredictionLines, answer_of, counted
from trimaran.rollout.traffic.judged import (
    identifier_of,
    judge_of,
    judged_models,
    log_of,
    reference_of,
)
from trimaran.rollout.traffic.late_outcomes import LateOutcomes
from trimaran.rollout.traffic.measures import MEASURES, check_measured
from trimaran.rollout.traffic.split import unit_of
from trimaran.rollout.traffic.units import ANSWERED, Units, text_of_record
from trimaran.served.judging import Judge
from trimaran.system.errors import UsageError

__all__ = ["Predictions", "check_goals"]

_SHARE = 0.01
"""Of the time, what reading the index may take."""
_NUMBER = "_value"
"""How the name of an answer ends that is a number."""


def check_goals(repository: Repository, model: str, plan: Plan, header: str) -> None:
    """Raise `UsageError` for a plan that asks for what cannot be known.

    Goals of clients need the header with a client's key; those of predictions need a log of them.
    """
    goals = _of_predictions(plan)
    for goal in plan.goals:
        if goal not in goals and not header:
            raise UsageError(
                f"{goal.name!r} is no goal of predictions ({', '.join(sorted(MEASURES))}), and one "
                "of clients needs the header that names them; name it with --key"
            )
    asked = goals[0].name if goals else "answers" if plan.answers is not None else ""
    if not asked:
        return
    if not log_of(repository, model).is_dir():
        raise UsageError(
            f"{asked} is seen in the predictions of {model}, and none are logged; start its "
            "server with 'trimaran serve --log-predictions'"
        )
    judge = judge_of(repository, model)
    if judge is None:
        known = ", ".join(judged_models(repository)) or "none"
        raise UsageError(
            f"{asked} needs a model that takes outcomes of {model}, and none does; models with "
            f"one: {known}"
        )
    for goal in goals:
        check_measured(model, goal, judge)


class Predictions:
    """The log of one experiment's model; where the plan asks nothing of it, it is not read."""

    def __init__(self, repository: Repository, experiment: Experiment, key: str) -> None:
        state = experiment.state
        self._model, _, _ = state.name.partition("/")
        directory = log_of(repository, self._model)
        judge = judge_of(repository, self._model) if directory.is_dir() else None
        goals = _of_predictions(state.plan)
        self._late = (
            LateOutcomes(experiment, goals, judge, directory, key) if judge and goals else None
        )
        self._counting, self.note = _counting(repository, experiment, judge)
        self._lines = PredictionLines(directory)
        self._units = Units(experiment.directory / ANSWERED)
        self._key = key
        self._since = datetime.now(UTC)
        self._due_s = 0.0

    def begin(self) -> None:
        """Count what is predicted from now on, at another share."""
        self._since = datetime.now(UTC)

    def seen_by(self, seen: Mapping[ArmName, Observed], segment: int) -> Mapping[ArmName, Observed]:
        """What was seen of each arm since the last call, with inputs and answers."""

        def is_new(name: str) -> bool:
            return self._units.is_new(segment, unit_of(text_of_record(name), self._key))

        if self._counting is None:
            return seen
        found = counted(self._lines.news(), self._counting, self._since, is_new)
        self._units.keep()
        return {
            arm: replace(each, inputs=found[arm].inputs, answers=found[arm].answers)
            for arm, each in seen.items()
        }

    def count_outcomes(self) -> bool:
        """Record outcomes that came since the last call; whether there were some.

        The index is read seldom enough that it takes a hundredth of the time.
        """
        began_s = time.monotonic()
        if self._late is None or began_s < self._due_s:
            return False
        found = self._late.count()
        self._due_s = began_s + (time.monotonic() - began_s) / _SHARE
        return found


def _of_predictions(plan: Plan) -> list[Goal]:
    return [goal for goal in plan.goals if goal.name in MEASURES]


def _counting(
    repository: Repository, experiment: Experiment, judge: Judge | None
) -> tuple[Counting | None, str]:
    """How lines are counted, or None and why not, where that has to be said."""
    state = experiment.state
    model, plan = state.name.partition("/")[0], state.plan
    if not log_of(repository, model).is_dir() or (plan.answers is None and not plan.inputs):
        return None, ""
    if state.header:
        identifier = identifier_of(repository, model)
        if identifier.replace("_", "-").lower() != state.header:
            return None, (
                f"inputs and answers are not compared: clients are told apart by the header "
                f"{state.header}, and predictions by {identifier or 'nothing'}"
            )
    reference = reference_of(repository, model)
    bins = next((e for e in reference.of_kind("answer") if e.name.endswith(_NUMBER)), None)
    fields = reference.of_kind("number", "category") if plan.inputs else ()
    answer = answer_of(judge, bins) if judge and plan.answers is not None else None
    arms = {version: arm for arm, version in state.releases.items()}
    return Counting(arms, tuple(fields), answer, bool(state.header)), ""
