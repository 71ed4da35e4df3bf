"""What `import trimaran` offers to look at runs, and to decide about them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from trimaran.repository.repository import DEFAULT_PLACE, Place, Repository, opened_at
from trimaran.rollout.ledger import Read
from trimaran.rollout.runs import decisions
from trimaran.rollout.runs.checklist import ITEMS, Answers, Question, answers_at
from trimaran.rollout.runs.people import person
from trimaran.rollout.runs.record import Line, RunRecord, line_of, record_of
from trimaran.rollout.runs.run import Run, find_run, runs_named
from trimaran.rollout.runs.settings import Settings, settings_at
from trimaran.rollout.runs.story import clocks_set_back, of_name
from trimaran.system.errors import TrimaranError
from trimaran.system.toml_text import nearest

__all__ = [
    "UnsoundLedgerError",
    "approve",
    "checklist",
    "history",
    "ignore",
    "review",
    "runs",
]

Found = TypeVar("Found")


class UnsoundLedgerError(TrimaranError):
    """A line of the ledger was changed. `found` is what the lines before it say."""

    def __init__(self, problem: str, found: Sequence[Any]) -> None:
        super().__init__(problem)
        self.found = found


def runs(name: str | None = None, repository: Place = DEFAULT_PLACE) -> list[RunRecord]:
    """All runs, or those of a name, oldest first.

    Raises `TrimaranError` for a name without runs, and `UnsoundLedgerError`.
    """
    opened = opened_at(repository)
    read = decisions.ledger_of(opened).read()
    found = decisions.runs_in(opened, read.entries)
    if name is not None:
        _require_known(name, found.values())
    shown = found.values() if name is None else runs_named(found, name)
    return _sound(read, [record_of(opened, run) for run in shown])


def history(about: str, repository: Place = DEFAULT_PLACE) -> list[Line]:
    """Each line of the ledger about a name, or about one run, `NAME/N`; errors as of `runs`."""
    opened = opened_at(repository)
    read = decisions.ledger_of(opened).read()
    _require_known(about.partition("/")[0], decisions.runs_in(opened, read.entries).values())
    back = clocks_set_back(read.entries)
    lines = [line_of(entry, entry.number in back) for entry in of_name(read.entries, about)]
    return _sound(read, lines)


def review(
    run: str,
    answers: Answers | Path,
    *,
    by: str | None = None,
    repository: Place = DEFAULT_PLACE,
    settings: Settings | Path | None = None,
) -> RunRecord:
    """Keep a person's answers to the checklist of a pending run.

    `answers` are an `Answer` for each of the items, or a file of them. `by` and `settings` are as
    in `run`. Raises `TrimaranError` for a gap, a role that may not, and a run that is not pending.
    """
    given = answers_at(answers)
    opened = opened_at(repository)
    return _after(opened, decisions.review(opened, settings_at(settings), run, person(by), given))


def approve(
    run: str,
    *,
    by: str | None = None,
    repository: Place = DEFAULT_PLACE,
    settings: Settings | Path | None = None,
) -> RunRecord:
    """Stand behind the review of a pending run, as another person; arguments as in `review`."""
    opened = opened_at(repository)
    return _after(opened, decisions.approve(opened, settings_at(settings), run, person(by)))


def ignore(
    run: str,
    why: str,
    *,
    by: str | None = None,
    repository: Place = DEFAULT_PLACE,
    settings: Settings | Path | None = None,
) -> RunRecord:
    """Decide that a pending run is never deployed, and `why`; arguments as in `review`."""
    opened = opened_at(repository)
    return _after(opened, decisions.ignore(opened, settings_at(settings), run, person(by), why))


def checklist(run: str, repository: Place = DEFAULT_PLACE) -> Mapping[str, Question]:
    """What a review asks, by item, and what the run's figures say about it.

    Raises `TrimaranError` where there is no such run.
    """
    opened = opened_at(repository)
    found = find_run(decisions.runs_in(opened, decisions.ledger_of(opened).entries()), run)
    hints = _hints(opened, found)
    return {name: Question(asked, hints.get(name, "")) for name, asked in ITEMS.items()}


def _hints(repository: Repository, run: Run) -> Mapping[str, str]:
    if run.finished is None:
        return {}

    from trimaran.rollout.runs.families.known import figures_of  # torch takes seconds to import
    from trimaran.rollout.runs.hints import hints_of
    from trimaran.rollout.runs.readiness import read_readiness
    from trimaran.rollout.runs.training import folder_in, path_in

    try:
        figures = figures_of(path_in(repository, str(run.outcome["directory"])))
        compared = run.compared.details if run.compared else {}
        tried = run.tried.details if run.tried else {}
        return hints_of(figures, read_readiness(folder_in(repository, run)), compared, tried)
    except TrimaranError:  # the directory is gone, and its figures with it
        return {}


def _after(repository: Repository, run: Run) -> RunRecord:
    """A run as the ledger has it now."""
    entries = decisions.ledger_of(repository).entries()
    return record_of(repository, find_run(decisions.runs_in(repository, entries), run.id))


def _sound(read: Read, found: list[Found]) -> list[Found]:
    if read.problem:
        raise UnsoundLedgerError(read.problem, found)
    return found


def _require_known(name: str, runs: Iterable[Run]) -> None:
    names = list(dict.fromkeys(run.name for run in runs))
    if name not in names:
        known = nearest(name, names) if names else f"make one with 'trimaran run {name}'"
        raise TrimaranError(f"there is no run of {name!r}; {known}")
