"""The state of an experiment, as a fold of the lines of its record."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from trimaran.rollout.experiments.observed import Observed
from trimaran.rollout.experiments.plan import Plan
from trimaran.rollout.experiments.segments import ArmName, Segment
from trimaran.rollout.experiments.verdict import Verdict
from trimaran.rollout.ledger import Entry
from trimaran.system.errors import TrimaranError

__all__ = ["Experimenting", "after", "begun", "folded"]


@dataclass(frozen=True)
class Experimenting:
    """All that is known of an experiment."""

    name: str
    """As `churn/1`."""
    kind: str
    """`canary`, `shadow` or `ab`."""
    releases: Mapping[ArmName, str]
    plan: Plan
    segments: Sequence[Segment]
    began: str
    """When, in ISO 8601, UTC; as all times of a record."""
    last: str
    header: str = ""
    """The one that holds a client's key, where clients stay with their arm."""
    elapsed_s: float = 0.0
    """The sum of what passed between lines. A clock that was set back counts as 0."""
    weighed_s: float = 0.0
    """Of them, those until the weights were as they are."""
    notes: Sequence[str] = ()
    """What a reader has to know, each as a sentence."""
    decision: Verdict | None = None
    decided_by: str = ""
    decided_at: str = ""

    @property
    def segment(self) -> Segment:
        """The one that is going on."""
        return self.segments[-1]


def folded(entries: Iterable[Entry]) -> Experimenting | None:
    """The state after all lines; None where there is none."""
    found: Experimenting | None = None
    for entry in entries:
        found = begun(entry) if found is None else after(found, entry)
    return found


def begun(entry: Entry) -> Experimenting:
    """The state after the first line. Raises `TrimaranError` for a line of another kind."""
    with _understood(entry):
        return _begun(entry)


def after(state: Experimenting, entry: Entry) -> Experimenting:
    """The state after one more line. Raises `TrimaranError` for a line of another kind."""
    with _understood(entry):
        return _after(state, entry)


@contextmanager
def _understood(entry: Entry) -> Iterator[None]:
    try:
        yield
    except (KeyError, TypeError, ValueError, IndexError, AttributeError):
        raise TrimaranError(
            f"{entry.run}: line {entry.number} is none that this version of trimaran writes; use "
            "the version that wrote it"
        ) from None


def _begun(entry: Entry) -> Experimenting:
    given = entry.details
    plan = Plan.of_record(given["plan"])
    return Experimenting(
        entry.run,
        given["kind"],
        given["releases"],
        plan,
        (Segment(plan.steps[0]),),
        entry.time,
        entry.time,
        given.get("header", ""),
    )


def _after(state: Experimenting, entry: Entry) -> Experimenting:
    now = _timed(state, entry)
    if entry.event == "weights":
        return _weighed(now, entry)
    if entry.event == "decided":
        decision = Verdict(entry.details["verdict"], entry.details["why"])
        return replace(now, decision=decision, decided_by=entry.by, decided_at=entry.time)
    live, candidate = _observed(entry.details, "live"), _observed(entry.details, "candidate")
    place = entry.details.get("segment", len(now.segments)) - 1
    segments = list(now.segments)
    segments[place] = segments[place].plus(live, candidate)
    return replace(now, segments=segments)


def _observed(details: Mapping[str, Any], arm: ArmName) -> Observed:
    return Observed.of_record(details.get(arm, {}))


def _weighed(state: Experimenting, entry: Entry) -> Experimenting:
    """With a segment more, since other weights start the statistics anew."""
    share, before = entry.details["share"], state.segment.share
    steps = state.plan.steps
    done = sum(each.planned for each in state.segments)
    planned = done < len(steps) and share == steps[done]
    note = (
        f"At {entry.time} {entry.by} changed the candidate's share from {before:.3g} to "
        f"{share:.3g}{'' if planned else ', which was not planned'}; the statistics began anew."
    )
    return replace(
        state,
        segments=[*state.segments, Segment(share, planned)],
        weighed_s=state.elapsed_s,
        notes=[*state.notes, note],
    )


def _timed(state: Experimenting, entry: Entry) -> Experimenting:
    passed_s = (
        datetime.fromisoformat(entry.time) - datetime.fromisoformat(state.last)
    ).total_seconds()
    if passed_s >= 0:
        return replace(state, last=entry.time, elapsed_s=state.elapsed_s + passed_s)
    note = (
        f"The clock was set back by {-passed_s:.3g} s before line {entry.number}; its lines are in "
        "the order of their numbers, and that time counts as none."
    )
    return replace(state, last=entry.time, notes=[*state.notes, note])
