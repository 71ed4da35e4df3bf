"""Training again: a run that is compared with the live one, and waits with what was found.

| step | leaves |
|---|---|
| begin | a number, and why |
| train | the directory of `trimaran train`, which an interrupted command finds again |
| judge | `comparison.json` and `comparison.html` in the run's folder, and a line of the ledger |
| finish | `pending`, with its reports |
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from trimaran.repository.repository import Repository
from trimaran.rollout.retrain_plan import RetrainPlan
from trimaran.rollout.retraining.judging import (
    Contestants,
    Export,
    Judgement,
    judge,
    require_comparable,
)
from trimaran.rollout.retraining.looking import Tables
from trimaran.rollout.retraining.page import comparison_page
from trimaran.rollout.runs.data_page import page_of_table
from trimaran.rollout.runs.decisions import deciding, ledger_of, runs_in
from trimaran.rollout.runs.families.known import figures_of, readiness_of
from trimaran.rollout.runs.run import Run, live_run, runs_named
from trimaran.rollout.runs.running import Explain
from trimaran.rollout.runs.settings import Plan
from trimaran.rollout.runs.states import State
from trimaran.rollout.runs.training import (
    begin,
    estimator_of,
    finish,
    folder_of,
    one_at_a_time,
)
from trimaran.system.errors import TrimaranError
from trimaran.system.files import write_text
from trimaran.training.run_directory import RunDirectory
from trimaran.training.tabular.data.sources import Dataset
from trimaran.training.tabular.runs.config import digest_of_frame
from trimaran.training.tabular.runs.trained import TrainedRun

__all__ = ["Retrained", "Work", "retrain"]


class Work(Tables, Protocol):
    """What trains a name."""

    @property
    def place(self) -> str:
        """What it trains on, for people."""
        ...

    def train(self) -> RunDirectory:
        """Train, or find what is trained already. Raises `TrimaranError`."""
        ...

    def folds(self, count: int) -> Sequence[float]:
        """The main metric of each fold of a cross-validation. Raises `TrimaranError`."""
        ...


@dataclass(frozen=True)
class Retrained:
    """A retrained run that is pending."""

    id: str
    says: str
    """How it compares, in a clause."""
    failed: Sequence[str]
    """The gates that it did not pass."""
    live: bool = False
    """Whether it is live already, so that nothing was trained."""


def retrain(
    repository: Repository,
    plan: Plan,
    rules: RetrainPlan,
    work: Work,
    export: Export,
    by: str,
    why: str,
    out: Path,
    say: Callable[[str], None],
    explain: Explain = lambda run, table, predicted, folder: None,
) -> Retrained:
    """Train a name again, or go on with that, and compare the run with the live one.

    `explain` keeps why the rows have their answers. Nothing is trained where it would be the live
    run once more, or a pending one that was compared with what is still live: the same options on
    the very data. Raises `TrimaranError`, also where nothing is live.
    """
    with one_at_a_time(repository, plan.name):
        live = _live(repository, plan.name)
        trained = estimator_of(repository, live)
        table = work.table()
        require_comparable(trained, live, table)
        standing = _standing(repository, plan, live, table)
        if standing is not None:
            say(f"{standing.id}, which is {standing.state}, was trained like this on these data")
            return _told(standing, live=standing.id == live.id)
        live_table = work.table_of(trained)
        begun = begin(repository, plan, work.place, by, again=why)
        say(f"{begun.id} {'is resumed' if begun.resumed else 'begins'}: trains again, since {why}")
        folder = folder_of(out, begun.id)
        write_text(folder / "data.html", page_of_table(table))
        new = TrainedRun(work.train().directory)
        if new.entry("config.json", "data")["digest"] != digest_of_frame(table.frame):
            raise TrimaranError(
                f"{work.place} was changed while {begun.id} was trained on it; run the same "
                "command again"
            )
        explain(new, table, new.directory, folder)
        both = Contestants(new, trained, live, table, live_table)
        readiness_of(new.directory, None).write(folder)
        judged = judge(repository, rules, both, export, work.folds, say)
        _keep(repository, begun.id, by, folder, why, judged)
        reports = {
            "data": folder / "data.html",
            "results": new.directory / "report.html",
            "comparison": folder / "comparison.html",
        }
        finish(repository, begun, by, figures_of(new.directory), new.directory, reports)
    return _told(runs_in(repository, ledger_of(repository).entries())[begun.id])


def _live(repository: Repository, name: str) -> Run:
    live = live_run(runs_in(repository, ledger_of(repository).entries()), name)
    if live is None:
        raise TrimaranError(
            f"no run of {name} is live, which a retrained one would be compared with; begin with "
            f"'trimaran run {name}', and deploy it"
        )
    return live


def _standing(repository: Repository, plan: Plan, live: Run, table: Dataset) -> Run | None:
    """The live or pending run that this command would make once more."""
    last = runs_named(runs_in(repository, ledger_of(repository).entries()), plan.name)[-1]
    digest = digest_of_frame(table.frame)
    for run in (live, last):
        options = run.begun.details.get("train")
        same = options == dict(plan.train) and run.outcome.get("digest") == digest
        compared = run.compared.details.get("live") if run.compared else None
        waits = run.state is State.PENDING and compared == live.id
        if same and (run is live or waits):
            return run
    return None


def _keep(
    repository: Repository, run: str, by: str, folder: Path, why: str, judged: Judgement
) -> None:
    """Keep the judgement in the run's folder, and what decides in the ledger."""
    record = judged.record()
    text = json.dumps({"run": run, "why": why, **record}, indent=1, default=float)
    write_text(folder / "comparison.json", text + "\n")
    write_text(folder / "comparison.html", comparison_page(run, why, judged))
    kept = ("live", "metric", "comparison", "gates", "failed", "says")
    with deciding(repository) as now:
        now.writer.add(by, "compared", run, {key: record[key] for key in kept})


def _told(run: Run, *, live: bool = False) -> Retrained:
    details = run.compared.details if run.compared else {}
    return Retrained(run.id, str(details.get("says", "")), tuple(details.get("failed", ())), live)
