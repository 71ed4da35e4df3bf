"""A run from its beginning to `pending`, whether it trains or a persisted one predicts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from trimaran.repository.repository import Repository
from trimaran.rollout.runs.data_page import page_of_figures, page_of_table
from trimaran.rollout.runs.decisions import ledger_of, runs_in
from trimaran.rollout.runs.families.known import figures_of, frozen_of, readiness_of
from trimaran.rollout.runs.record import RunRecord, record_of
from trimaran.rollout.runs.run import Run, find_run
from trimaran.rollout.runs.served import onnx_of
from trimaran.rollout.runs.settings import Plan
from trimaran.rollout.runs.training import (
    begin,
    estimator_of,
    finish,
    folder_of,
    one_at_a_time,
    persisted_run,
)
from trimaran.system.errors import TrimaranError
from trimaran.system.files import write_text
from trimaran.system.postgresql import shown
from trimaran.training.progress import Watch
from trimaran.training.run_directory import RunDirectory
from trimaran.training.tabular.data.reading import Source
from trimaran.training.tabular.data.sources import Dataset
from trimaran.training.tabular.runs.config import digest_of_frame
from trimaran.training.tabular.runs.trained import TrainedRun

__all__ = ["Explain", "Prepared", "Training", "run_predicting", "run_training"]

Say = Callable[[str], None]
Explain = Callable[[TrainedRun, Dataset, Path, Path], None]
"""Called with what predicted a table, the directory of its predictions, and the run's folder."""


class Training(Protocol):
    """A training whose options are checked, and which has not begun."""

    @property
    def of_tables(self) -> bool:
        """Whether it learns from a table of records."""

    def table(self) -> Dataset:
        """That table. Raises `TrimaranError`."""

    def train(self) -> RunDirectory:
        """Train, or go on with it. Raises `TrimaranError`."""


@dataclass(frozen=True)
class Prepared:
    """What a run of a name is to do, and where."""

    repository: Repository
    plan: Plan
    source: Source
    by: str
    out: Path
    say: Say = lambda sentence: None
    watch: Watch = lambda what, done, total: None
    explain: Explain = lambda run, table, predicted, folder: None
    """What keeps why the rows have their answers."""


def run_training(prepared: Prepared, training: Training) -> RunRecord:
    """Train, and leave the run pending. Raises `TrimaranError`.

    A table that cannot be used is refused before the run begins.
    """
    repository, plan = prepared.repository, prepared.plan
    with one_at_a_time(repository, plan.name):
        table = training.table() if training.of_tables else None
        begun = begin(repository, plan, shown(prepared.source.place), prepared.by)
        prepared.say(f"{begun.id} {'is resumed' if begun.resumed else 'begins'}: trains")
        page = folder_of(prepared.out, begun.id) / "data.html"
        if table is not None:
            write_text(page, page_of_table(table))
        directory = training.train().directory
        if table is not None:
            _require_same(table, directory, begun.id)
        figures = figures_of(directory)
        if table is None:
            write_text(page, page_of_figures(begun.id, figures))
        else:
            prepared.explain(TrainedRun(directory), table, directory, page.parent)
        prepared.say("measuring how long it takes to answer")
        readiness_of(directory, None).write(page.parent)
        reports = {"data": page, "results": directory / "report.html"}
        finish(repository, begun, prepared.by, figures, directory, reports)
    return _found(repository, begun.id)


def run_predicting(prepared: Prepared, persisted: Run) -> RunRecord:
    """Have the persisted run predict, and leave that pending. Raises `TrimaranError`.

    Data that do not fit it are refused before the run begins.
    """
    repository, plan = prepared.repository, prepared.plan
    with one_at_a_time(repository, plan.name):
        if persisted_run(repository, plan.name) != persisted:
            raise TrimaranError(
                f"another run of {plan.name} became live meanwhile; run the same command again"
            )
        frozen = frozen_of(estimator_of(repository, persisted).directory, persisted.id)
        data = frozen.read(prepared.source, prepared.watch)
        begun = begin(repository, plan, shown(prepared.source.place), prepared.by, persisted)
        with_whom = persisted.predicts_with or persisted.id
        done = "is resumed" if begun.resumed else "begins"
        prepared.say(f"{begun.id} {done}: {with_whom} predicts")
        folder = folder_of(prepared.out, begun.id)
        write_text(folder / "data.html", data.page())
        data.predict(folder, prepared.watch)
        estimator = estimator_of(repository, persisted).directory
        if data.rows is not None:
            prepared.explain(TrainedRun(estimator), data.rows, folder, folder)
        figures = figures_of(folder)
        for note in figures.notes:
            prepared.say(f"note: {note}")
        readiness_of(estimator, onnx_of(repository, persisted)).write(folder)
        reports = {"data": folder / "data.html", "results": folder / "report.html"}
        finish(repository, begun, prepared.by, figures, folder, reports)
    return _found(repository, begun.id)


def _require_same(table: Dataset, directory: Path, run: str) -> None:
    """Raise `TrimaranError` where a table is another one than was trained on."""
    trained = TrainedRun(directory).entry("config.json", "data")["digest"]
    if trained != digest_of_frame(table.frame):
        raise TrimaranError(
            f"{table.source} was changed while {run} was trained on it; run the same command again"
        )


def _found(repository: Repository, run: str) -> RunRecord:
    found = find_run(runs_in(repository, ledger_of(repository).entries()), run)
    return record_of(repository, found)
