"""How an experiment went: what its checks had found at some of its looks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trimaran.rollout.experiments.finding import Finding
from trimaran.rollout.experiments.state import Experimenting, after, begun
from trimaran.rollout.experiments.verdict import findings
from trimaran.rollout.ledger import Entry
from trimaran.system.errors import TrimaranError

__all__ = ["Course", "Look", "course"]

_LOOKS = 60
_COUNTED = ("look", "outcomes")


@dataclass(frozen=True)
class Look:
    """What was found at one time."""

    time: str
    segment: int
    """From 1."""
    requests: int
    """Of the candidate, in all segments until then."""
    findings: Sequence[Finding]


@dataclass(frozen=True)
class Course:
    """The state of an experiment, and some looks on the way there, the oldest first."""

    state: Experimenting
    looks: Sequence[Look]
    lines: int


def course(entries: Sequence[Entry], name: str, most: int = _LOOKS) -> Course:
    """The course of a record's lines, with about `most` looks, the last of each segment among them.

    Raises `TrimaranError` where there is no line.
    """
    if not entries:
        raise TrimaranError(f"{name} has no whole line in its record; it never began")
    state = begun(entries[0])
    counted = [each.number for each in entries if each.event in _COUNTED]
    ends = [each.number - 1 for each in entries if each.event == "weights"]
    wanted = {*counted[:: -max(1, -(-len(counted) // most))], *ends} if most else set()
    looks = []
    for entry in entries[1:]:
        state = after(state, entry)
        if entry.number in wanted and entry.event in _COUNTED:
            looks.append(_look(state, entry))
    return Course(state, looks, len(entries))


def _look(state: Experimenting, entry: Entry) -> Look:
    requests = sum(each.candidate.seen.requests for each in state.segments)
    found = findings(state.plan, state.segments)
    return Look(entry.time, len(state.segments), requests, found)
