"""A run, and a line of the ledger, as plain values: what commands print and Python gets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trimaran.repository.repository import Repository
from trimaran.rollout.ledger import Entry
from trimaran.rollout.runs.run import Run
from trimaran.rollout.runs.states import State
from trimaran.rollout.runs.story import told
from trimaran.rollout.runs.training import path_in

__all__ = ["Line", "RunRecord", "line_of", "record_of"]


@dataclass(frozen=True)
class RunRecord:
    """A run as it stands. What does not apply to it yet is None or empty."""

    run: str
    """As people write it: `churn/3`."""
    state: State
    metric: str | None
    """The main metric, as people call it."""
    value: float | None
    interval: tuple[float, float] | None
    """Of 95 %."""
    data: str
    """What it is about."""
    rows: Mapping[str, int]
    """By part."""
    predicts_with: str | None
    """The persisted run that it predicts with; None for one that trains."""
    release: int | None
    parts: Mapping[str, int]
    """The release or version of each model that serves it."""
    tried: str | None
    """What the last canary of its release said, such as `promote`."""
    reviewed_by: str | None
    approved_by: tuple[str, ...]
    """Who stands behind it besides its reviewer."""
    deploying: bool
    """Whether its deployment began and has not ended."""
    directory: Path | None
    reports: Mapping[str, Path]
    """`data` and `results`, HTML."""
    why: str | None
    """Why it is ignored."""
    did: str
    """What happened last, in a clause; `who` did it `when`, in ISO 8601, UTC."""
    who: str
    when: str


@dataclass(frozen=True)
class Line:
    """A line of the ledger, in words."""

    line: int
    time: str
    """In ISO 8601, UTC."""
    by: str
    event: str
    run: str
    details: Mapping[str, Any]
    told: str
    clock_set_back: bool
    """Whether its time is before that of the line before it."""


def record_of(repository: Repository, run: Run) -> RunRecord:
    """A run of the ledger as plain values."""
    outcome = run.outcome
    interval, directory = outcome.get("interval"), outcome.get("directory")
    return RunRecord(
        run=run.id,
        state=run.state,
        metric=outcome.get("metric"),
        value=outcome.get("value"),
        interval=(interval[0], interval[1]) if interval else None,
        data=str(run.begun.details.get("data", "")),
        rows=outcome.get("rows", {}),
        predicts_with=run.predicts_with,
        release=run.release,
        parts=dict(run.parts),
        tried=run.tried.details.get("verdict") if run.tried else None,
        reviewed_by=run.reviewed.by if run.reviewed else None,
        approved_by=tuple(entry.by for entry in run.approved),
        deploying=run.is_deploying,
        directory=path_in(repository, str(directory)) if directory else None,
        reports={
            name: path_in(repository, str(kept))
            for name, kept in outcome.get("reports", {}).items()
        },
        why=run.ignored.details.get("why") if run.ignored else None,
        did=told(run.last),
        who=run.last.by,
        when=run.last.time,
    )


def line_of(entry: Entry, clock_set_back: bool) -> Line:
    """A line of the ledger with its words."""
    return Line(
        **entry.record(),
        told=told(entry),
        clock_set_back=clock_set_back,
    )
