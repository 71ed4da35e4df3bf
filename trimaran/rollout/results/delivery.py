"""The results of the run that is live, in the database, and the views that show them.

What is live on the disk is the truth, and is looked up while the database is held. So whoever
writes last writes what is live then, and a run's results are there whole, or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from trimaran.repository.repository import Repository
from trimaran.rollout.results.database import Database, DatabaseError, Session, database_of
from trimaran.rollout.results.explanations import (
    EXPLANATIONS,
    Explanation,
    in_words,
    read_explanations,
)
from trimaran.rollout.results.predictions import Prediction, predictions_in
from trimaran.rollout.results.schema import make_views, migrate
from trimaran.rollout.runs.decisions import ledger_of, runs_in
from trimaran.rollout.runs.run import Run, live_run
from trimaran.rollout.runs.settings import Settings
from trimaran.rollout.runs.training import folder_in, path_in
from trimaran.system.errors import TrimaranError
from trimaran.training.run_directory import RunDirectory

__all__ = ["Delivered", "deliver", "moment"]

_ROWS_SAID = 10_000


@dataclass(frozen=True)
class Delivered:
    """What the database shows of a name now."""

    run: Run | None
    """The live one."""
    place: str
    predictions: int
    """How many were written; 0 where they stood already."""
    explained: int
    changed: bool
    """Whether anything was written."""


def deliver(
    repository: Repository,
    settings: Settings,
    name: str,
    say: Callable[[str], None] = lambda step: None,
) -> Delivered:
    """Have the database show the run of a name that is live, and write its results if they lack.

    Raises `DatabaseError` where the database cannot take them; nothing was written then.
    """
    database = database_of(repository, settings)
    with database.writing() as session:
        migrate(session, database)
        run = live_run(runs_in(repository, ledger_of(repository).entries()), name)
        written = (0, 0)
        if run is not None and not _has_results(session, database, run):
            written = _write(session, repository, run, say)
        moved = _show(session, name, run)
    return Delivered(run, database.shown, *written, changed=moved or any(written))


def moment() -> str:
    """Now, in ISO 8601, UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _has_results(session: Session, database: Database, run: Run) -> bool:
    """Whether a run's results are there. Raises `DatabaseError` for those of a namesake."""
    same = "SELECT count(*), sum(CASE WHEN begun = ? THEN 1 ELSE 0 END) FROM trimaran_runs "
    found, mine = session.rows(f"{same} WHERE run = ?", run.begun.time, run.id)[0]
    if found and not mine:
        raise DatabaseError(
            f"the results database {database.shown} has another run {run.id}, of another "
            "repository; name another database in [results] of rollout.toml"
        )
    return bool(found)


def _write(
    session: Session, repository: Repository, run: Run, say: Callable[[str], None]
) -> tuple[int, int]:
    """Write all results of a run: how many rows, and how many of them with reasons."""
    directory = path_in(repository, str(run.outcome["directory"]))
    explanations = _explanations(repository, run)
    count, explained = 0, 0
    for part in _parts(predictions_in(directory)):
        session.many(
            "INSERT INTO trimaran_predictions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [_row(run.id, each, explanations.get(each.row)) for each in part],
        )
        reasons = [
            (run.id, each.row, place, reason.feature, reason.value, reason.contribution)
            for each in part
            if each.row in explanations
            for place, reason in enumerate(explanations[each.row].reasons, 1)
        ]
        session.many("INSERT INTO trimaran_reasons VALUES (?, ?, ?, ?, ?, ?)", reasons)
        count += len(part)
        explained += sum(each.row in explanations for each in part)
        say(f"results: {count} rows written")
    task = str(RunDirectory(directory).metrics().get("task", ""))
    finished = run.finished.time if run.finished else run.begun.time
    session.run(
        "INSERT INTO trimaran_runs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        *(run.id, run.name, run.begun.time, run.release, task, finished, moment()),
        *(count, explained),
    )
    return count, explained


def _show(session: Session, name: str, run: Run | None) -> bool:
    """Point the views of a name at a run, or at none; whether that was new."""
    shown = session.rows("SELECT run FROM trimaran_live WHERE name = ?", name)
    wanted = None if run is None else run.id
    if not shown:
        if wanted is None:
            return False
        make_views(session, name)
        session.run("INSERT INTO trimaran_live VALUES (?, ?)", name, wanted)
    elif shown[0][0] != wanted:
        session.run("UPDATE trimaran_live SET run = ? WHERE name = ?", wanted, name)
    return not shown or shown[0][0] != wanted


def _row(run: str, found: Prediction, why: Explanation | None) -> Sequence[Any]:
    reasons = (None, None) if why is None else (why.baseline, in_words(why))
    about = (run, found.row, found.identifier, found.part, found.answer, found.score)
    return (*about, found.probabilities, found.outcome, *reasons)


def _explanations(repository: Repository, run: Run) -> Mapping[int, Explanation]:
    path = folder_in(repository, run) / EXPLANATIONS
    if not path.is_file():
        return {}
    try:
        return read_explanations(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrimaranError(
            f"{path} cannot be used ({type(error).__name__}); delete it, and the results are "
            "written without reasons"
        ) from error


def _parts(found: Iterator[Prediction]) -> Iterator[list[Prediction]]:
    part: list[Prediction] = []
    for each in found:
        part.append(each)
        if len(part) == _ROWS_SAID:
            yield part
            part = []
    if part:
        yield part
