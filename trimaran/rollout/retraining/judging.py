"""The judgement of a retrained run: beside the live one on untouched rows, and by the gates."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from trimaran.repository.repository import Repository
from trimaran.rollout.retrain_plan import RetrainPlan
from trimaran.rollout.retraining.comparison import (
    Answering,
    Comparison,
    SliceChange,
    compared,
    slices_of,
)
from trimaran.rollout.retraining.gates import (
    Gate,
    comparison_gate,
    folds_gate,
    latency_gate,
    parity_gate,
    slices_gate,
)
from trimaran.rollout.retraining.latency import latency_ratio
from trimaran.rollout.retraining.seen import SeenRows, seen_rows
from trimaran.rollout.runs.run import Run
from trimaran.rollout.runs.served import onnx_of
from trimaran.stats.intervals import mean
from trimaran.system.errors import TrimaranError
from trimaran.training.tabular.data.groups import groups
from trimaran.training.tabular.data.sources import Dataset
from trimaran.training.tabular.runs.frozen import chosen_by, predictions_of
from trimaran.training.tabular.runs.trained import TrainedRun
from trimaran.training.tabular.tasks.task import Task

__all__ = ["Contestants", "Export", "Judgement", "judge", "require_comparable"]


class Export(Protocol):
    """What exports a run's network, and compares it with PyTorch."""

    def __call__(self, run: TrainedRun, folder: Path) -> Path:
        """The ONNX file, below a folder that is removed later. Raises `TrimaranError`."""
        ...


@dataclass(frozen=True)
class Contestants:
    """The new run and the live one, and the table as each reads it, row by row the same."""

    new: TrainedRun
    live: TrainedRun
    live_run: Run
    table: Dataset
    live_table: Dataset


@dataclass(frozen=True)
class Judgement:
    """All that was found."""

    live: str
    """The run that was live."""
    metric: str
    comparison: Comparison
    told_by: str
    """How the rows that the live run was fitted to were told; empty where nothing tells them."""
    left_out: int
    """The rows of the test part that it was fitted to, and which do not count."""
    slices: Sequence[SliceChange]
    gates: Sequence[Gate]

    @property
    def failed(self) -> list[str]:
        """The names of the gates that it did not pass."""
        return [gate.name for gate in self.gates if not gate.passed]

    @property
    def says(self) -> str:
        """The result in a clause."""
        first = self.gates[0].says
        if not self.failed:
            return f"{first}; it passes every gate"
        return f"{first}; it does not pass: {', '.join(self.failed)}"

    def record(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "failed": self.failed, "says": self.says}


def require_comparable(live: TrainedRun, live_run: Run, table: Dataset) -> None:
    """Raise `TrimaranError` unless a run on this table would predict what the live one does."""
    schema = table.schema
    task = schema.task.resolved(table.frame[schema.target]).as_dict()
    before = live.entry("config.json", "schema")
    kept = ("task", "positive", "classes")
    for what, old, new in (
        ("the column", before["target"], schema.target),
        *((key, before["task"].get(key), task.get(key)) for key in kept),
    ):
        if old != new:
            raise TrimaranError(
                f"{live_run.id} predicts {what} {old!r}, and the table would give {new!r}; they "
                f"cannot be compared, so train with 'trimaran run {live_run.name}'"
            )


def judge(
    repository: Repository,
    plan: RetrainPlan,
    both: Contestants,
    export: Export,
    folds: Callable[[int], Sequence[float]],
    say: Callable[[str], None],
) -> Judgement:
    """Compare a new run with the live one, and ask every gate.

    `folds` gives the main metric of each fold. Raises `TrimaranError` where a run's file is gone.
    """
    task, schema = both.new.task(), both.table.schema
    seen = seen_rows(both.live, both.live_table)
    say("comparing with the live run")
    tested, left_out = _rows(both.new, seen)
    frame = both.table.frame.iloc[tested]
    target = task.encode(frame[schema.target])
    new = _answering(both.new, both.table, task, tested)
    live = _answering(both.live, both.live_table, task, tested)
    found = compared(task, target, new, live, plan.margin)
    cuts = both.new.entry("config.json", "cuts")
    changes = slices_of(task, target, new, live, groups(frame, schema, cuts), plan.gates.slices)
    gates = [comparison_gate(plan, task, found), slices_gate(changes, plan.gates.slices)]
    say("exporting")
    gates += _of_network(repository, plan, both, export)
    if plan.gates.folds:
        say(f"cross-validating with {plan.gates.folds} folds")
        gates.append(_of_folds(task, folds(plan.gates.folds), found))
    return Judgement(both.live_run.id, task.title, found, seen.told_by, left_out, changes, gates)


def _rows(new: TrainedRun, seen: SeenRows) -> tuple[npt.NDArray[np.int64], int]:
    """The rows of the new run's test part to which the live one was not fitted, and the others."""
    parts = [row["part"] for row in csv.DictReader(io.StringIO(new.text("predictions.csv")))]
    tested = np.array(parts) == "test"
    return np.flatnonzero(tested & ~seen.fitted), int((tested & seen.fitted).sum())


def _answering(
    run: TrainedRun, table: Dataset, task: Task, rows: npt.NDArray[np.int64]
) -> Answering:
    some = Dataset(table.frame.iloc[rows], table.schema, table.source)
    return Answering(predictions_of(run, some), chosen_by(run, task))


def _of_network(
    repository: Repository, plan: RetrainPlan, both: Contestants, export: Export
) -> list[Gate]:
    """Parity and latency."""
    with repository.staging() as folder:
        try:
            network = export(both.new, folder)
        except TrimaranError as error:
            return [parity_gate(str(error))]
        served = onnx_of(repository, both.live_run)
        if served is None:
            missing = f"the network of {both.live_run.id} is not in {repository.root}"
            return [parity_gate(""), Gate("latency", passed=False, says=missing)]
        ratio = latency_ratio(network, served, both.new.samples(), both.live.samples())
        return [parity_gate(""), latency_gate(ratio, plan.gates.latency)]


def _of_folds(task: Task, values: Sequence[float], found: Comparison) -> Gate:
    if found.live is None:
        return Gate("folds", passed=False, says="there is nothing to compare the folds with")
    least = found.live - found.margin if task.greater_is_better else found.live + found.margin
    return folds_gate(task, values, mean(values), least)
