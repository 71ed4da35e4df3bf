"""The runs that a ledger tells of, each in its state.

| event | of | says |
|---|---|---|
| `begun` | a run | what is trained, or which run predicts, and on what data |
| `compared` | a run | how it compares with the live one, and its gates |
| `finished` | a run | its directory, its reports and its main metric |
| `tried` | a run | what a canary on live traffic said of its release |
| `reviewed` | a run | the answers to the checklist |
| `approved` | a run | one more person stands behind the last review |
| `ignored` | a run | why |
| `prepared` | a run | what is to be tried or live: a release or version by model |
| `deploying` | a run | a deployment began |
| `deployed` | a run | it is live |
| `failed` | a run | its deployment was taken back, and why |
| `live` | a name | another release became live, such as by a rollback |
| `clock` | a name | the clock was set back; its schedule counts from here |
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from trimaran.rollout.ledger import Entry
from trimaran.rollout.runs.states import LIVE, Move, State, moved
from trimaran.system.errors import TrimaranError, UsageError
from trimaran.system.toml_text import nearest

__all__ = ["Run", "Seen", "find_run", "live_run", "runs_named", "runs_of", "seen"]


@dataclass(frozen=True)
class Run:
    """One run, and the lines of the ledger that brought it to where it is."""

    name: str
    """What its models are called."""
    number: int
    """From 1, among the runs of its name."""
    state: State
    begun: Entry
    last: Entry
    """The last line about it."""
    compared: Entry | None = None
    """With the live run, of one that was trained again."""
    finished: Entry | None = None
    tried: Entry | None = None
    """The last canary of its release."""
    reviewed: Entry | None = None
    """The last review."""
    approved: tuple[Entry, ...] = ()
    """After that review, of different people."""
    deploying: Entry | None = None
    prepared: Entry | None = None
    deployed: Entry | None = None
    ignored: Entry | None = None

    @property
    def id(self) -> str:
        """As people write it: `churn/3`."""
        return f"{self.name}/{self.number}"

    @property
    def predicts_with(self) -> str | None:
        """The persisted run that it predicts with; None for a run that trains."""
        found: str | None = self.begun.details.get("predicts_with")
        return found

    @property
    def again(self) -> str:
        """Why a live model was trained again; empty for any other run."""
        return str(self.begun.details.get("again", ""))

    @property
    def outcome(self) -> Mapping[str, Any]:
        """What it ended with; empty for an unfinished one."""
        return self.finished.details if self.finished else {}

    @property
    def parts(self) -> Mapping[str, int]:
        """The release or version of each model that a canary tries, and a deployment makes live."""
        found: Mapping[str, int] = self.prepared.details.get("parts", {}) if self.prepared else {}
        return found

    @property
    def release(self) -> int | None:
        """The release of the ensemble of its name, once it is made."""
        return self.parts.get(self.name)

    @property
    def is_persisted(self) -> bool:
        """Whether its deployment froze it."""
        return bool(self.deployed and self.deployed.details.get("persist"))

    @property
    def is_deploying(self) -> bool:
        """Whether its deployment began, and has not ended: it goes on, or was interrupted."""
        return self.state is State.PENDING and self.deploying is not None


@dataclass(frozen=True)
class Seen:
    """What a ledger has yet to say, since something else is live than it knows of."""

    by: str
    event: str
    run: str
    details: Mapping[str, Any]


def runs_of(entries: Iterable[Entry]) -> dict[str, Run]:
    """All runs by `NAME/N`, oldest first. Raises `TrimaranError` for a move that cannot be."""
    runs: dict[str, Run] = {}
    for entry in entries:
        _take(runs, entry)
    return runs


def runs_named(runs: Mapping[str, Run], name: str) -> list[Run]:
    """The runs of a name, oldest first."""
    return [run for run in runs.values() if run.name == name]


def live_run(runs: Mapping[str, Run], name: str) -> Run | None:
    """The run of a name that is live."""
    return next((run for run in runs_named(runs, name) if run.state in LIVE), None)


def find_run(runs: Mapping[str, Run], wanted: str) -> Run:
    """The run that a person means by `churn/3`. Raises `UsageError`, and names the nearest."""
    name, slash, number = wanted.partition("/")
    if not slash or not number.isascii() or not number.isdigit():
        raise UsageError(f"{wanted!r} is no run; write NAME/N, such as {name or 'churn'}/1")
    found = runs.get(f"{name}/{int(number)}")
    if found is not None:
        return found
    names = list(dict.fromkeys(run.name for run in runs.values()))
    if name in names:
        last = runs_named(runs, name)[-1].number
        raise TrimaranError(f"there is no run {wanted}; the last run of {name} is {name}/{last}")
    known = nearest(name, names) if names else f"make one with 'trimaran run {name}'"
    raise TrimaranError(f"there is no run {wanted}; {known}")


def seen(runs: Mapping[str, Run], name: str, release: int | None) -> Seen | None:
    """What the ledger has yet to say, where `release` of the ensemble `name` is live.

    None where it knows, where nothing is live, and where no run of that name was ever deployed. A
    deployment that was killed after its switch is told as what its person did.
    """
    if release is None:
        return None
    live = live_run(runs, name)
    if live is not None and live.release == release:
        return None
    mine = runs_named(runs, name)
    for run in mine:
        if run.is_deploying and run.release == release and run.deploying is not None:
            return Seen(run.deploying.by, "deployed", run.id, run.deploying.details)
    return Seen("", "live", name, {"release": release}) if any(r.deployed for r in mine) else None


def _take(runs: dict[str, Run], entry: Entry) -> None:
    if entry.event == "begun":
        name, _, number = entry.run.partition("/")
        runs[entry.run] = Run(name, int(number), State.UNFINISHED, entry, entry)
        return
    if entry.event == "live":
        _switch(runs, entry.run, _by_release(runs, entry), entry)
        return
    if entry.event == "clock":
        return
    run = replace(runs[entry.run], last=entry)
    if entry.event == "reviewed":
        run = replace(run, reviewed=entry, approved=())
    elif entry.event == "approved":
        run = replace(run, approved=(*run.approved, entry))
    elif entry.event == "deployed":
        persist = entry.details.get("persist")
        _switch(runs, run.name, None, entry)
        state = moved(run.id, run.state, Move.PERSIST if persist else Move.DEPLOY)
        run = replace(run, state=state, deployed=entry)
    elif entry.event == "compared":
        run = replace(run, compared=entry)
    elif entry.event == "finished":
        run = replace(run, state=moved(run.id, run.state, Move.FINISH), finished=entry)
    elif entry.event == "ignored":
        run = replace(run, state=moved(run.id, run.state, Move.IGNORE), ignored=entry)
    elif entry.event == "deploying":
        run = replace(run, deploying=entry)
    elif entry.event == "tried":
        run = replace(run, tried=entry)
    elif entry.event == "prepared":
        run = replace(run, prepared=entry)
    elif entry.event == "failed":
        run = replace(run, deploying=None, prepared=None)
    runs[run.id] = run


def _by_release(runs: Mapping[str, Run], entry: Entry) -> Run | None:
    """The run that a release belongs to: the last that was deployed with it, or one that waits."""
    release = entry.details.get("release")
    mine = [run for run in runs_named(runs, entry.run) if run.release == release]
    waits = next((run for run in mine if run.state is State.PENDING), None)
    deployed = [run for run in mine if run.deployed]
    return max(deployed, key=lambda run: run.deployed.number if run.deployed else 0, default=waits)


def _switch(runs: dict[str, Run], name: str, to: Run | None, entry: Entry) -> None:
    """Replace the live run of a name, and make another live again."""
    live = live_run(runs, name)
    if live is not None and live != to:
        state = moved(live.id, live.state, Move.REPLACE)
        runs[live.id] = replace(live, state=state, last=entry)
    if to is not None and to.state is State.PENDING:
        state = moved(to.id, to.state, Move.DEPLOY)
        runs[to.id] = replace(to, state=state, deployed=entry, last=entry)
    elif to is not None and to.state not in LIVE:
        back = Move.RETURN_PERSISTED if to.is_persisted else Move.RETURN
        runs[to.id] = replace(to, state=moved(to.id, to.state, back), last=entry)
