"""What is still to be done of a retrained run that passed its gates: its canary, its deployment."""

from __future__ import annotations

from enum import StrEnum

from trimaran.repository.live import live_release
from trimaran.repository.repository import Repository
from trimaran.rollout.experiments.experiment import Experiment, experiments_of
from trimaran.rollout.experiments.verdict import Verdict
from trimaran.rollout.runs.checklist import refused_items
from trimaran.rollout.runs.decisions import deciding
from trimaran.rollout.runs.run import Run
from trimaran.rollout.runs.states import State
from trimaran.rollout.traffic.orders import alone
from trimaran.system.errors import TrimaranError

__all__ = ["Ahead", "ahead_of", "awaited", "canary_of", "note_tried", "unwanted"]

_CANARY, _PROMOTE = "canary", "promote"


class Ahead(StrEnum):
    """What comes next."""

    CANARY = "canary"
    DEPLOYMENT = "deployment"


def ahead_of(run: Run, live: Run, *, canary: bool, deploys: bool) -> Ahead | None:
    """What comes next of the newest run of a name; None where a person is asked, or nothing is.

    `canary` and `deploys` say whether a run that passes its gates is tried on live traffic, and
    whether it is deployed without a person.
    """
    found = run.compared.details if run.compared else {}
    if found.get("live") != live.id or found.get("failed") or unwanted(run):
        return None
    if canary and run.tried is None:
        return Ahead.CANARY
    won = run.tried is not None and run.tried.details.get("verdict") == _PROMOTE
    return Ahead.DEPLOYMENT if deploys and (won or not canary) else None


def unwanted(run: Run) -> str:
    """Why people do not want a run to go on by itself, as a sentence; empty where they do."""
    if run.state is not State.PENDING:
        return f"{run.id} is {run.state}."
    against = refused_items(run.reviewed.details.get("answers", {})) if run.reviewed else []
    return f"The review of {run.id} says no to {', '.join(against)}." if against else ""


def awaited(repository: Repository, run: Run) -> str:
    """What the canary of a run has to wait for, in a clause; empty where it can begin or go on."""
    try:
        with alone(repository, run.name):
            newest, live = _newest(repository, run.name), live_release(repository.live(run.name))
    except TrimaranError as error:
        return str(error)
    if newest is None or newest.state.decision is not None or canary_of(repository, run):
        return ""
    state = newest.state
    of_live = live is not None and state.releases["live"] == str(live.number)
    goes_on = f"the experiment {state.name} goes on, of release {state.releases['candidate']}"
    return goes_on if of_live else ""


def canary_of(repository: Repository, run: Run) -> Experiment | None:
    """The newest experiment of a run's name, if it is a canary of the run's release."""
    found = _newest(repository, run.name)
    if found is None or found.state.kind != _CANARY:
        return None
    return found if found.state.releases["candidate"] == str(run.release) else None


def note_tried(repository: Repository, run: Run, experiment: str, said: Verdict, by: str) -> None:
    """Say in the ledger what a canary has shown of a run, once."""
    details = {"experiment": experiment, "verdict": said.word, "why": said.why}
    with deciding(repository) as now:
        kept = now.runs[run.id].tried
        if kept is None or kept.details != details:
            now.writer.add(by, "tried", run.id, details)


def _newest(repository: Repository, model: str) -> Experiment | None:
    names = experiments_of(repository, model)
    return Experiment.open(repository, names[-1]) if names else None
