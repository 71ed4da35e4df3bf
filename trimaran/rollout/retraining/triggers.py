"""Reasons to train sooner: what new rows say of the live run, and how old the rows it knows are."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt

from trimaran.rollout.retrain_plan import Triggers
from trimaran.rollout.retraining.due import Reason
from trimaran.rollout.retraining.seen import SeenRows
from trimaran.rollout.runs.run import Run
from trimaran.served.dates import DAYS, days_of
from trimaran.training.tabular.data.schema import Schema
from trimaran.training.tabular.data.sources import Dataset
from trimaran.training.tabular.runs.frozen import scored_table
from trimaran.training.tabular.runs.trained import TrainedRun
from trimaran.training.tabular.wording import shown

__all__ = ["age", "moving_feature", "of_new_rows"]

_DAY_S = 86_400


def of_new_rows(
    triggers: Triggers, run: TrainedRun, dataset: Dataset, seen: SeenRows
) -> list[Reason]:
    """What the rows of a table that the live run does not know say of it."""
    found = []
    if triggers.drift is not None:
        found.append(_drift(triggers.drift, run, _some(dataset, ~seen.known)))
    if triggers.accuracy is not None:
        found.append(_accuracy(triggers.accuracy, run, _some(dataset, ~seen.fitted)))
    return found


def moving_feature(schema: Schema) -> str:
    """What is counted of the dates by which rows are split, which are later in new rows always."""
    return f"{schema.time}_{DAYS}" if schema.time is not None else ""


def age(most_s: float, run: Run, trained: TrainedRun, now: datetime) -> Reason:
    """How old the newest rows are that the live run knows.

    Their dates tell, or else when their file was written, or else when the training began.
    """
    split = trained.split_by_time()
    kept = split["test"]["to"] if split else None
    days = None if kept is None else days_of(kept)
    newest = (
        datetime.fromisoformat(run.begun.details.get("data_time", run.begun.time))
        if days is None
        else datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=days)
    )
    old = now - newest
    if old < timedelta(0):
        return Reason(None, f"age: the data of {run.id} are of {newest:%Y-%m-%d}, still to come")
    words = f"the data of {run.id} are {old.total_seconds() / _DAY_S:.1f} days old"
    most = f"{most_s / _DAY_S:g} days"
    fired = old > timedelta(seconds=most_s)
    return Reason(fired, f"{words}, more than {most}" if fired else f"{words}, at most {most}")


def _drift(bound: float, run: TrainedRun, new: Dataset) -> Reason:
    if not len(new.frame):
        return Reason(False, "drift: the table has no row that the live run does not know")
    apart = moving_feature(new.schema)
    moved = scored_table(run, new).drift
    judged = [each for each in moved if each.index is not None and each.feature != apart]
    if not judged:
        return Reason(None, f"drift cannot be told of {len(new.frame)} new rows")
    far = [each for each in judged if each.interval[0] > bound or each.verdict == "absent"]
    if not far:
        farthest = f"the farthest is {judged[0].feature}, {judged[0].index:.2f}"
        return Reason(False, f"no feature of new rows drifted; {farthest}")
    told = [
        f"{each.feature} {each.index:.2f} ({each.interval[0]:.2f} to {each.interval[1]:.2f})"
        if each.interval[0] > bound
        else f"{each.feature} is more often absent"
        for each in far[:3]
    ]
    more = f" and {len(far) - 3} more" if len(far) > 3 else ""
    return Reason(True, f"new rows drifted beyond {bound:g}: {', '.join(told)}{more}")


def _accuracy(bound: float, run: TrainedRun, new: Dataset) -> Reason:
    scored = scored_table(run, new) if len(new.frame) else None
    task = new.schema.task
    if scored is None or scored.scores is None or scored.interval is None:
        return Reason(None, f"{task.title} cannot be told of {len(new.frame)} new rows")
    value = float(scored.scores.as_dict()[task.main])
    low, high = scored.interval
    best = max(map(task.goodness, scored.interval))
    words = f"{task.title} is {shown(value)} ({shown(low)} to {shown(high)}) on new rows"
    if best < task.goodness(bound):
        return Reason(True, f"{words}, worse than {bound:g}")
    return Reason(False, f"{words}, not surely worse than {bound:g}")


def _some(dataset: Dataset, rows: npt.NDArray[np.bool_]) -> Dataset:
    return replace(dataset, frame=dataset.frame[rows].reset_index(drop=True))
