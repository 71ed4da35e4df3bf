"""What people decide about runs: each decision is checked and written while the ledger is held.

What is live on the disk is the truth. So whoever reads the ledger also looks there, and whoever
writes first adds what it has yet to say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from trimaran.repository.live import live_release
from trimaran.repository.repository import Repository
from trimaran.rollout.ledger import Entry, Ledger, LedgerWriter
from trimaran.rollout.runs.checklist import Answers, reason_of, refused_items
from trimaran.rollout.runs.people import person
from trimaran.rollout.runs.run import Run, Seen, find_run, live_run, runs_of, seen
from trimaran.rollout.runs.settings import SETTINGS_FILE, Settings
from trimaran.rollout.runs.states import Move, State, moved
from trimaran.system.errors import TrimaranError

__all__ = [
    "Deciding",
    "approve",
    "deciding",
    "ignore",
    "ledger_of",
    "note_live",
    "require_decided",
    "require_no_waiting_run",
    "review",
    "runs_in",
]

_FOLDER = "runs"


def ledger_of(repository: Repository) -> Ledger:
    """The ledger of a repository's runs."""
    return Ledger(repository.state / _FOLDER)


def runs_in(repository: Repository, entries: Sequence[Entry]) -> dict[str, Run]:
    """All runs by `NAME/N`, with what is live on the disk now."""
    runs = runs_of(entries)
    told = [
        Entry(len(entries) + place, "", each.by, each.event, each.run, each.details)
        for place, each in enumerate(_unsaid(repository, runs), start=1)
    ]
    return runs_of([*entries, *told]) if told else runs


@dataclass(frozen=True)
class Deciding:
    """The ledger while it is held, and the runs of it."""

    writer: LedgerWriter
    runs: Mapping[str, Run]

    def pending(self, wanted: str, move: Move, settings: Settings) -> Run:
        """A run that may make this move by the rules of `settings`. Raises `TrimaranError`."""
        run = find_run(self.runs, wanted)
        moved(run.id, run.state, move)
        rules = run.begun.details.get("rules")
        if rules and settings.path is None:
            raise TrimaranError(
                f"{run.id} began by the rules of {rules}, and there is no {SETTINGS_FILE} here; "
                "run the command in its folder, or name it with --settings"
            )
        return run


@contextmanager
def deciding(repository: Repository) -> Iterator[Deciding]:
    """Hold the ledger, after it has said what is live. Raises `TrimaranError`."""
    with ledger_of(repository).writing() as writer:
        runs = runs_of(writer.entries)
        for each in _unsaid(repository, runs):
            writer.add(each.by, each.event, each.run, each.details)
        yield Deciding(writer, runs_of(writer.entries))


def review(repository: Repository, settings: Settings, wanted: str, by: str, given: Answers) -> Run:
    """Keep the answers to the checklist of a pending run. Raises `TrimaranError`."""
    settings.require_role("review", by)
    answers = {name: {"answer": each.answer, "note": each.note} for name, each in given.items()}
    with deciding(repository) as now:
        run = now.pending(wanted, Move.REVIEW, settings)
        now.writer.add(by, "reviewed", run.id, {"answers": answers})
    return run


def approve(repository: Repository, settings: Settings, wanted: str, by: str) -> Run:
    """Stand behind the review of a pending run, as a second person. Raises `TrimaranError`."""
    settings.require_role("approve", by)
    with deciding(repository) as now:
        run = now.pending(wanted, Move.APPROVE, settings)
        if run.reviewed is None:
            raise TrimaranError(f"{run.id} has no review to approve; run: trimaran review {run.id}")
        _require_no_objection(run.id, run.reviewed)
        if by in _behind(run):
            raise TrimaranError(
                f"{by} stands behind {run.id} already; an approval is another person's (--by)"
            )
        now.writer.add(by, "approved", run.id)
    return run


def ignore(repository: Repository, settings: Settings, wanted: str, by: str, why: str) -> Run:
    """Decide that a pending run is never to be deployed. Raises `TrimaranError`."""
    settings.require_role("ignore", by)
    reason = reason_of(why, "--why has")
    with deciding(repository) as now:
        run = now.pending(wanted, Move.IGNORE, settings)
        if run.is_deploying:
            raise TrimaranError(
                f"the deployment of {run.id} has begun, and some of it may be live; end it "
                f"with 'trimaran deploy {run.id}', and go back with 'trimaran rollback {run.name}'"
            )
        now.writer.add(by, "ignored", run.id, {"why": reason})
    return run


def require_decided(run: Run, approvals: int) -> None:
    """Raise `TrimaranError` unless a run was reviewed, and enough people stand behind it."""
    if run.reviewed is None:
        raise TrimaranError(f"{run.id} was not reviewed; run: trimaran review {run.id}")
    _require_no_objection(run.id, run.reviewed)
    people = _behind(run)
    if len(people) < approvals:
        raise TrimaranError(
            f"{run.id} needs {approvals} people behind it, and has {', '.join(people)}; another "
            f"one runs: trimaran approve {run.id}"
        )


def _require_no_objection(run: str, reviewed: Entry) -> None:
    against = refused_items(reviewed.details.get("answers", {}))
    if against:
        raise TrimaranError(
            f"the review of {run} by {reviewed.by} says no to {', '.join(against)}; ignore the "
            "run, or review it again"
        )


def require_no_waiting_run(repository: Repository, model: str, release: int | None) -> None:
    """Raise `TrimaranError` for what serves a run that waits to be decided about, or is ignored.

    `release` is one of an ensemble, or a version of another model; None is the newest.
    """
    newest = repository.newest(model)
    number = newest.number if release is None and newest else release
    run = _waiting_run(repository, model, number)
    if run is None:
        return
    ignored = run.state is State.IGNORED
    remedy = "name another" if ignored else f"review the run, and run: trimaran deploy {run.id}"
    raise TrimaranError(f"{model} {number} serves {run.id}, which is {run.state}; {remedy}")


def _waiting_run(repository: Repository, model: str, number: int | None) -> Run | None:
    """The run that a version serves, if it serves none that was ever live."""
    try:
        runs = runs_in(repository, ledger_of(repository).entries()).values()
    except TrimaranError:  # a ledger that cannot be read keeps nobody from deploying
        return None
    mine = [run for run in runs if run.parts.get(model, 0) == number]
    return None if any(run.deployed for run in mine) else mine[-1] if mine else None


def note_live(repository: Repository, name: str, by: str | None, how: str) -> Run | None:
    """Tell the ledger that another release of `name` became live; the run that is live now.

    `by` is as in `person`. Does nothing where no run of that name was ever deployed.
    """
    ledger = ledger_of(repository)
    if not any(run.name == name and run.deployed for run in runs_of(ledger.entries()).values()):
        return None
    who = person(by)
    with ledger.writing() as writer:
        for each in _unsaid(repository, runs_of(writer.entries)):
            mine = each.event == "live" and each.run == name
            details = {**each.details, "how": how} if mine else each.details
            writer.add(who if mine else each.by, each.event, each.run, details)
        return live_run(runs_of(writer.entries), name)


def _unsaid(repository: Repository, runs: Mapping[str, Run]) -> list[Seen]:
    """What the ledger has yet to say about each name."""
    names = dict.fromkeys(run.name for run in runs.values() if run.deployed or run.is_deploying)
    found = (seen(runs, name, _release(repository, name)) for name in names)
    return [each for each in found if each is not None]


def _release(repository: Repository, name: str) -> int | None:
    with suppress(TrimaranError):  # a damaged file says nothing of what is live
        live = live_release(repository.live(name))
        return live.number if live else None
    return None


def _behind(run: Run) -> list[str]:
    """Who stands behind a run: its reviewer, and those who approved that review."""
    entries: list[Any] = [run.reviewed] if run.reviewed else []
    return list(dict.fromkeys(entry.by for entry in [*entries, *run.approved]))
