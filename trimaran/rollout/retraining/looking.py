"""What is known of a name when it is asked whether it is due."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from trimaran.repository.repository import Repository
from trimaran.rollout.ledger import Entry
from trimaran.rollout.retrain_plan import RetrainPlan
from trimaran.rollout.retraining.ahead import Ahead, ahead_of, awaited
from trimaran.rollout.retraining.due import Following, Known, Reason, counted_from
from trimaran.rollout.retraining.seen import seen_rows
from trimaran.rollout.retraining.triggers import age, moving_feature, of_new_rows
from trimaran.rollout.retraining.watched import Asked, Watched
from trimaran.rollout.runs.decisions import deciding, ledger_of, runs_in
from trimaran.rollout.runs.run import Run, live_run, runs_named
from trimaran.rollout.runs.served import served_by
from trimaran.rollout.runs.states import State
from trimaran.rollout.runs.training import estimator_of
from trimaran.training.tabular.data.sources import Dataset
from trimaran.training.tabular.runs.config import digest_of_frame
from trimaran.training.tabular.runs.trained import TrainedRun

__all__ = ["Tables", "known_of", "note_clock"]


class Tables(Protocol):
    """The table of a name, read anew by each call."""

    def table(self) -> Dataset:
        """As it is trained on. Raises `TrimaranError`."""
        ...

    def table_of(self, run: TrainedRun) -> Dataset:
        """As a run that is finished reads it. Raises `TrimaranError`."""
        ...


@dataclass(frozen=True)
class _Trainings:
    """The runs of a name that train, and the times of the ledger's lines."""

    runs: Sequence[Run]
    entries: Sequence[Entry]

    def since(self, now: datetime) -> datetime | None:
        """When the last training began: see `counted_from`."""
        last = self.runs[-1].begun.number
        times = [datetime.fromisoformat(entry.time) for entry in self.entries]
        return counted_from(times[:last], times[last:], now)


def known_of(
    repository: Repository,
    name: str,
    plan: RetrainPlan,
    tables: Tables,
    watched: Watched,
    now: datetime | None = None,
    *,
    deploys: bool = False,
) -> Known:
    """What decides whether a name is due; `deploys` says whether a run is deployed by itself.

    The table is read, and what is served is asked for, only where they can still decide. Raises
    `TrimaranError` for a table that cannot be used, and where the live run's directory is gone.
    """
    now = now or datetime.now(UTC)
    entries = ledger_of(repository).entries()
    runs = runs_in(repository, entries)
    live = live_run(runs, name)
    trainings = _Trainings(
        [run for run in runs_named(runs, name) if run.predicts_with is None], entries
    )
    if live is None:
        return Known(now, None, None)
    since = trainings.since(now)
    last = trainings.runs[-1]
    if last.again and last.state is State.UNFINISHED:
        return Known(now, since, live.id, unfinished=last.id)
    if live.state is State.PERSISTED:
        return Known(now, since, live.id, frozen=True)
    following = _following(repository, runs_named(runs, name)[-1], live, plan, deploys=deploys)
    if following is not None:
        return Known(now, since, live.id, following=following)
    digest = digest_of_frame(tables.table().frame)
    same = [run.id for run in trainings.runs if run.outcome.get("digest") == digest]
    if same:
        return Known(now, since, live.id, trained=same[-1])
    reasons = _reasons(repository, live, plan, tables, watched, now)
    return Known(now, since, live.id, reasons=reasons)


def _following(
    repository: Repository, last: Run, live: Run, plan: RetrainPlan, *, deploys: bool
) -> Following | None:
    found = ahead_of(last, live, canary=plan.canary is not None, deploys=deploys)
    if found is None:
        return None
    awaits = awaited(repository, last) if found is Ahead.CANARY else ""
    return Following(last.id, found, awaits)


def note_clock(repository: Repository, name: str, by: str) -> None:
    """Say in the ledger that the clock was set back, so that the time counts from there."""
    with deciding(repository) as now:
        now.writer.add(by, "clock", name)


def _reasons(
    repository: Repository,
    live: Run,
    plan: RetrainPlan,
    tables: Tables,
    watched: Watched,
    now: datetime,
) -> list[Reason]:
    triggers, found = plan.triggers, list[Reason]()
    trained = estimator_of(repository, live)
    if triggers.drift is not None or triggers.accuracy is not None:
        dataset = tables.table_of(trained)
        schema, task = dataset.schema, dataset.schema.task
        found += of_new_rows(triggers, trained, dataset, seen_rows(trained, dataset))
        models = {each.model: each.number for each in served_by(repository, live)}
        less = not task.greater_is_better
        found += watched(Asked(triggers, models, task.title, less, moving_feature(schema)))
    if triggers.age_s is not None:
        found.append(age(triggers.age_s, live, trained, now))
    return found
