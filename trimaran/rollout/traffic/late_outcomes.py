"""Outcomes of predictions, counted for the arm and the segment in which each was made.

The model of outcomes joins them in the index of the prediction log (`trimaran/served/outcomes.py`),
each to the version that predicted. An experiment's record has a digest of each prediction that was
counted, so an interruption neither loses nor doubles one.
"""

from __future__ import annotations

import hashlib
import hmac
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trimaran.rollout.experiments.experiment import Experiment
from trimaran.rollout.experiments.plan import Goal
from trimaran.rollout.experiments.segments import ARMS, ArmName
from trimaran.rollout.ledger import Entry, Ledger
from trimaran.rollout.traffic.measures import Measure, measure_of
from trimaran.rollout.traffic.stretches import Stretches
from trimaran.served.judging import Judge
from trimaran.served.outcomes import INDEX

__all__ = ["LateOutcomes", "counted_in"]

_DIGITS = 16
_WAIT_S = 5.0
_JOINED = """
SELECT file, rowid, coalesce(id, ''), coalesce(request, ''), version, time, probability, decided,
    outcome
FROM predictions WHERE outcome IS NOT NULL AND time >= ? AND version IN (?, ?)
ORDER BY rowid
"""


@dataclass(frozen=True)
class _Joined:
    """A prediction with its outcome, as the index keeps it."""

    key: tuple[str, int]
    """Its file and its row in the index."""
    identity: str
    version: str
    time_s: float
    judged: tuple[float, Any, Any]


class LateOutcomes:
    """Follows the index in `directory` for an experiment, of which this process alone counts."""

    def __init__(
        self, experiment: Experiment, goals: Sequence[Goal], judge: Judge, directory: Path, key: str
    ) -> None:
        self._experiment = experiment
        self._measures = {goal.name: measure_of(goal, judge) for goal in goals}
        self._arms: dict[str, ArmName] = {
            version: arm for arm, version in experiment.state.releases.items()
        }
        self._path = directory / INDEX
        self._key = key.encode()
        self._record = Ledger(experiment.directory, follows=True)
        self._stretches = Stretches()
        self._counted: set[str] = set()
        self._known: set[tuple[str, int]] = set()

    def count(self) -> bool:
        """Record the outcomes that came since the last call; whether there were some."""
        self._follow()
        found = list(self._new())
        for (arm, segment), rows in _grouped(found).items():
            for goal, measure in self._measures.items():
                self._add(arm, segment, goal, measure, rows)
        self._known.update(row.key for _, _, row in found)
        return bool(found)

    def _follow(self) -> None:
        entries = self._record.news()
        self._stretches.add(entries)
        for counted in counted_in(entries).values():
            self._counted |= counted

    def _new(self) -> Iterator[tuple[ArmName, int, _Joined]]:
        """The joined predictions of the experiment that were not counted by this process."""
        begin_s = self._stretches.began_s
        if begin_s is None:
            return
        for row in _joined(self._path, begin_s, self._arms):
            segment = self._stretches.segment_at(row.time_s)
            if segment is not None and row.key not in self._known:
                yield self._arms[row.version], segment, row

    def _add(
        self, arm: ArmName, segment: int, goal: str, measure: Measure, rows: Iterable[_Joined]
    ) -> None:
        values = {
            digest: value
            for row in rows
            if (digest := self._digest(goal, row)) not in self._counted
            and (value := measure(*row.judged)) is not None
        }
        if values:
            of = list(values)
            self._experiment.outcomes(arm, goal, values.values(), segment=segment, of=of)

    def _digest(self, goal: str, row: _Joined) -> str:
        text = f"{goal}\n{row.identity}".encode()
        return hmac.new(self._key, text, hashlib.sha256).hexdigest()[:_DIGITS]


def _joined(path: Path, begin_s: float, versions: Iterable[str]) -> Iterator[_Joined]:
    """What the index holds of some versions from a time on; nothing while it cannot be read."""
    place = f"{path.absolute().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(place, timeout=_WAIT_S, uri=True)) as database:
            for file, row, name, request, version, time_s, *judged in database.execute(
                _JOINED, (begin_s, *versions)
            ):
                identity = "\n".join((file, repr(time_s), name, request))
                probability, decided, outcome = judged
                judged_as = probability, decided, outcome
                yield _Joined((file, row), identity, version, time_s, judged_as)
    except sqlite3.Error:  # there is none yet, or another process has it for long
        return


def _grouped(
    found: Iterable[tuple[ArmName, int, _Joined]],
) -> Mapping[tuple[ArmName, int], Sequence[_Joined]]:
    groups: dict[tuple[ArmName, int], list[_Joined]] = defaultdict(list)
    for arm, segment, row in found:
        groups[arm, segment].append(row)
    return groups


def counted_in(entries: Iterable[Entry]) -> Mapping[tuple[str, int], set[str]]:
    """The digests of what lines of a record count, by goal and segment."""
    found: dict[tuple[str, int], set[str]] = defaultdict(set)
    for entry in entries:
        of = entry.details.get("of", ()) if entry.event == "outcomes" else ()
        for arm in ARMS if of else ():
            for goal in entry.details.get(arm, {}).get("outcomes", {}):
                found[goal, entry.details.get("segment", 0)].update(of)
    return found
