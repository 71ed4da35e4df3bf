"""Outcomes of clients, such as what each of them bought, counted for the arm that a client is in.

A client's key decides its arm, so a table with a key and a value in each row is enough. A client
has one outcome for each goal and segment; the experiment's record has its digest, so the same table
can be given again, also after an interruption.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from trimaran.repository.repository import Repository
from trimaran.rollout.experiments.experiment import Experiment, record_of
from trimaran.rollout.experiments.plan import Goal
from trimaran.rollout.experiments.segments import ArmName
from trimaran.rollout.experiments.verdict import Verdict
from trimaran.rollout.ledger import Entry
from trimaran.rollout.traffic.late_outcomes import counted_in
from trimaran.rollout.traffic.measures import MEASURES
from trimaran.rollout.traffic.split import arm_of, unit_of
from trimaran.rollout.traffic.stretches import segment_at
from trimaran.rollout.traffic.units import DIGITS, KEY, SEEN, seen_in
from trimaran.system.csv_rows import check_header, named, numbered_rows, opened_csv
from trimaran.system.errors import TrimaranError, UsageError
from trimaran.system.files import exclusive_lock, read_regular

__all__ = ["STATUSES", "ClientOutcome", "Columns", "count_client_outcomes", "read_client_outcomes"]

STATUSES: Mapping[str, str] = {
    "counted": "counted for the client's arm",
    "known": "of clients that have an outcome already, which stays",
    "unseen": "of clients that were not seen in the experiment",
    "before": "from before the experiment",
}
"""What becomes of a row."""

_LOCK = ".outcomes"
_WORDS = {"yes": 1.0, "true": 1.0, "no": 0.0, "false": 0.0}


@dataclass(frozen=True)
class Columns:
    """Which columns of the table are read."""

    key: str
    value: str
    time: str = ""
    """Of when an outcome was; empty for none."""


@dataclass(frozen=True)
class ClientOutcome:
    """A row of the table."""

    line: int
    key: str
    value: float
    time_s: float | None = None
    """Since the epoch."""


@dataclass(frozen=True)
class _Placed:
    """A row in its arm and segment, by the digest of its client."""

    segment: int
    arm: ArmName
    unit: str
    value: float


def read_client_outcomes(path: Path, columns: Columns, goal: Goal) -> list[ClientOutcome]:
    """The rows of a CSV file, all of which can be counted for a goal.

    Raises `UsageError` for a column that is not there, and `TrimaranError` with the line for a row
    that cannot be used.
    """
    with opened_csv(path) as file:
        rows = list(numbered_rows(file, path))
    if not rows:
        raise TrimaranError(f"{path} is empty; it must begin with a line of column names")
    header = named(rows[0].cells, path)
    check_header(header, path)
    places = [
        _place(path, header, option, name)
        for option, name in (
            ("--key", columns.key),
            ("--value", columns.value),
            ("--time", columns.time),
        )
        if name
    ]
    found = []
    for line, cells, fault in rows[1:]:
        where = f"{path}, line {line}: "
        if fault or len(cells) != len(header):
            what = fault or f"it has {len(cells)} cells, and the header has {len(header)}"
            raise TrimaranError(f"{where}{what}; correct the line")
        key, value, *time = (cells[place].strip() for place in places)
        if not key:
            raise TrimaranError(f"{where}{columns.key} is empty; leave the row out")
        number = _number(value, goal, f"{where}{columns.value}")
        found.append(ClientOutcome(line, key, number, _time(time, f"{where}{columns.time}")))
    return found


def count_client_outcomes(
    repository: Repository, name: str, goal: str, path: Path, columns: Columns, *, by: str
) -> tuple[Mapping[str, int], Verdict]:
    """Count the rows of a table for a goal of an experiment: how many by status, and the verdict.

    Raises `TrimaranError` or `UsageError` where one of them cannot be, with nothing counted.
    """
    experiment = Experiment.open(repository, name)
    experiment.require_going("outcomes")
    wanted = _goal(experiment, goal)
    rows = read_client_outcomes(path, columns, wanted)
    digest_key = read_regular(experiment.directory / KEY).decode("ascii", "replace")
    with exclusive_lock(experiment.directory / _LOCK):
        entries = record_of(repository, experiment.state.name).entries()
        experiment.refresh()
        statuses, placed = _placed(experiment, entries, goal, rows, digest_key, path)
        found = experiment.verdict()
        for (segment, arm), group in placed.items():
            values, of = [each.value for each in group], [each.unit for each in group]
            found = experiment.outcomes(arm, goal, values, segment=segment, of=of, by=by)
    return statuses, found


def _goal(experiment: Experiment, goal: str) -> Goal:
    if goal in MEASURES:
        raise UsageError(
            f"{goal!r} is of predictions, whose outcomes 'trimaran feedback' records; name a goal "
            "of clients"
        )
    found = experiment.state.plan.goal(goal)
    if not experiment.state.header:
        raise UsageError(
            f"{experiment.state.name} divides requests and knows no clients; begin an experiment "
            "with --key"
        )
    return found


def _placed(
    experiment: Experiment,
    entries: Sequence[Entry],
    goal: str,
    rows: Sequence[ClientOutcome],
    digest_key: str,
    path: Path,
) -> tuple[Mapping[str, int], Mapping[tuple[int, ArmName], Sequence[_Placed]]]:
    """How many rows there are by status, and those to count by segment and arm."""
    segments = experiment.state.segments
    if len(segments) > 1 and any(row.time_s is None for row in rows):
        raise UsageError(
            f"{experiment.state.name} has had {len(segments)} shares of the traffic, and a client "
            "may have changed its arm; name the column of the outcomes' times with --time"
        )
    known = counted_in(entries)
    seen = {n: seen_in(experiment.directory / SEEN, n) for n in range(1, len(segments) + 1)}
    lines: dict[tuple[int, str], int] = {}
    statuses = dict.fromkeys(STATUSES, 0)
    placed: dict[tuple[int, ArmName], list[_Placed]] = defaultdict(list)
    for row in rows:
        segment = 1 if row.time_s is None else segment_at(entries, row.time_s)
        if segment is None:
            statuses["before"] += 1
            continue
        digest = unit_of(row.key, digest_key)
        unit = digest[:DIGITS]
        if (first := lines.setdefault((segment, unit), row.line)) != row.line:
            raise TrimaranError(
                f"{path}, line {row.line}: {row.key!r} has a row already, line {first}; give one "
                "row for each client, such as the sum of its purchases"
            )
        took_part = seen[segment]
        if took_part is not None and unit not in took_part:
            statuses["unseen"] += 1
        elif unit in known.get((goal, segment), ()):
            statuses["known"] += 1
        else:
            statuses["counted"] += 1
            arm = arm_of(digest, segments[segment - 1].share)
            placed[segment, arm].append(_Placed(segment, arm, unit, row.value))
    return statuses, placed


def _place(path: Path, header: Sequence[str], option: str, name: str) -> int:
    if name not in header:
        raise UsageError(
            f"{path} has no column {name!r}; its columns are {', '.join(header)}: name the one "
            f"with {option}"
        )
    return header.index(name)


def _number(cell: str, goal: Goal, where: str) -> float:
    try:
        found = _WORDS[cell.lower()] if goal.binary and cell.lower() in _WORDS else float(cell)
    except ValueError:
        found = math.nan
    if math.isnan(found):
        raise TrimaranError(f"{where} is {cell!r}, and not a number; correct it, or leave it out")
    if goal.binary and found not in (0, 1):
        raise TrimaranError(
            f"{where} is {cell}, and {goal.name!r} is 0 or 1 in the plan; correct it"
        )
    if not goal.low <= found <= goal.high:
        raise TrimaranError(
            f"{where} is {cell}, outside of {goal.low:g} to {goal.high:g}, which the plan names as "
            f"the bounds of {goal.name!r}; correct it, or begin an experiment with wider ones"
        )
    return found


def _time(cells: Sequence[str], where: str) -> float | None:
    if not cells:
        return None
    try:
        found = datetime.fromisoformat(cells[0])
    except ValueError:
        raise TrimaranError(
            f"{where} is {cells[0]!r}; expected ISO 8601, such as 2026-11-22T13:00:00Z"
        ) from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
