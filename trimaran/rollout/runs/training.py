"""A run from its beginning to `pending`: what the ledger keeps of it, and where its reports are.

An interrupted run is begun again by the same command, and goes on under its number.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trimaran.repository.repository import Repository
from trimaran.rollout.runs.decisions import deciding, ledger_of, runs_in
from trimaran.rollout.runs.figures import Figures
from trimaran.rollout.runs.run import Run, live_run, runs_named
from trimaran.rollout.runs.settings import Plan
from trimaran.rollout.runs.states import State
from trimaran.system.errors import TrimaranError
from trimaran.system.files import exclusive_lock
from trimaran.training.tabular.runs.trained import TrainedRun

__all__ = [
    "Begun",
    "begin",
    "estimator_of",
    "finish",
    "folder_in",
    "folder_of",
    "one_at_a_time",
    "path_in",
    "persisted_run",
    "relative_to",
]


@dataclass(frozen=True)
class Begun:
    """A run that has a number and is to be done."""

    id: str
    resumed: bool
    frozen: Run | None
    """The persisted run that predicts; None where it trains."""


@contextmanager
def one_at_a_time(repository: Repository, name: str) -> Iterator[None]:
    """Keep other commands from running or deploying a run of this name. Raises `TrimaranError`."""
    lock = ledger_of(repository).directory / f"{name}.lock"
    try:
        with exclusive_lock(lock, wait=False):
            yield
    except BlockingIOError:
        raise TrimaranError(
            f"another command is running or deploying a run of {name}; wait until it has ended"
        ) from None


def persisted_run(repository: Repository, name: str) -> Run | None:
    """The run of a name that is live and persisted, if there is one."""
    live = live_run(runs_in(repository, ledger_of(repository).entries()), name)
    return live if live is not None and live.state is State.PERSISTED else None


def begin(
    repository: Repository, plan: Plan, data: str, by: str, frozen: Run | None = None
) -> Begun:
    """Give a run its number, or find the one that was interrupted.

    `data` is what it is about, for people, and `frozen` the persisted run that predicts it; without
    one it trains.
    """
    with deciding(repository) as now:
        asked = _digest(plan, data, frozen)
        mine = runs_named(now.runs, plan.name)
        for run in mine:
            if run.state is State.UNFINISHED and run.begun.details.get("asked") == asked:
                return Begun(run.id, resumed=True, frozen=frozen)
        number = mine[-1].number + 1 if mine else 1
        details: dict[str, Any] = {"data": data, "asked": asked}
        if plan.file is not None:
            details["rules"] = relative_to(repository, plan.file)
        if frozen is not None:
            details["predicts_with"] = frozen.predicts_with or frozen.id
        entry = now.writer.add(by, "begun", f"{plan.name}/{number}", details)
        return Begun(entry.run, resumed=False, frozen=frozen)


def estimator_of(repository: Repository, run: Run) -> TrainedRun:
    """What a run trained, or what it predicted with. Raises `TrimaranError` where it is gone."""
    kept = str(run.outcome.get("estimator_directory") or run.outcome.get("directory"))
    found = TrainedRun(path_in(repository, kept))
    if not found.is_finished:
        raise TrimaranError(
            f"{found.directory}, the directory of {run.id}, is gone or not whole; bring it back, "
            f"or train with 'trimaran run {run.name} --train'"
        )
    return found


def finish(
    repository: Repository,
    begun: Begun,
    by: str,
    figures: Figures,
    directory: Path,
    reports: Mapping[str, Path],
) -> None:
    """Make a run pending. `directory` has its files, and `reports` the pages by name."""
    places = {name: relative_to(repository, path) for name, path in reports.items()}
    about: dict[str, Any] = {
        "directory": relative_to(repository, directory),
        "reports": places,
    }
    if begun.frozen is not None:
        estimator = estimator_of(repository, begun.frozen).directory
        about["estimator_directory"] = relative_to(repository, estimator)
    with deciding(repository) as now:
        now.writer.add(by, "finished", begun.id, {**figures.outcome(), **about})


def folder_of(out: Path, run: str) -> Path:
    """Where a run keeps its own files: `runs/churn/run-3`."""
    name, _, number = run.partition("/")
    return out / name / f"run-{number}"


def folder_in(repository: Repository, run: Run) -> Path:
    """Where a finished run keeps its own files, by its data report."""
    return path_in(repository, str(run.outcome["reports"]["data"])).parent


def relative_to(repository: Repository, path: Path) -> str:
    """A path as the ledger keeps it: from the folder of the repository, so both can be moved."""
    return os.path.relpath(path.resolve(), repository.root.parent)


def path_in(repository: Repository, kept: str) -> Path:
    """The inverse of `relative_to`."""
    return Path(os.path.normpath(repository.root.parent / kept))


def _digest(plan: Plan, data: str, frozen: Run | None) -> str:
    place = str(Path(data).resolve()) if Path(data).exists() else data
    asked = {"train": dict(plan.train), "data": place, "with": frozen.id if frozen else None}
    text = json.dumps(asked, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
