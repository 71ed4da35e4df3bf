"""Whether a name is due to be trained again, as one pure function, and by which clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from trimaran.rollout.retrain_plan import RetrainPlan

__all__ = ["Due", "Following", "Known", "Reason", "counted_from", "due"]


@dataclass(frozen=True)
class Reason:
    """What a trigger found."""

    fired: bool | None
    """None where it cannot be told."""
    says: str
    """A clause, such as `calls drifted by 0.45`."""


@dataclass(frozen=True)
class Following:
    """What is still to be done of a run that was trained again."""

    run: str
    what: str
    """`canary` or `deployment`."""
    awaits: str = ""
    """What it has to wait for, in a clause."""


@dataclass(frozen=True)
class Known:
    """What is known of a name."""

    now: datetime
    since: datetime | None
    """When it was last trained; None where the clock was set back, and nothing tells."""
    live: str | None
    """The run that is live."""
    frozen: bool = False
    """Whether that run is persisted."""
    unfinished: str | None = None
    """A retraining that was interrupted."""
    following: Following | None = None
    """Of the newest run, after its training."""
    trained: str | None = None
    """The last run that trained on the very data that the table has now."""
    reasons: Sequence[Reason] = field(default_factory=tuple)


@dataclass(frozen=True)
class Due:
    """Whether, and why or why not, in a clause."""

    is_due: bool
    why: str
    run: str | None = None
    """The run that goes on, where none is to be trained."""


def due(plan: RetrainPlan, known: Known) -> Due:
    """The decision. What forbids it comes first, then the triggers, then the schedule."""
    if known.live is None:
        return Due(False, "no run is live, which a retrained one would be compared with")
    if known.unfinished is not None:
        return Due(True, f"{known.unfinished} was interrupted, and goes on")
    if known.frozen:
        return Due(False, f"{known.live} is persisted, so it is frozen")
    if known.following is not None:
        return _goes_on(known.following)
    if known.trained is not None:
        return Due(False, f"the data are those that {known.trained} was trained on")
    if known.since is None:
        return Due(False, "the clock was set back; the time counts from now")
    rests = known.since + timedelta(seconds=plan.cool_down_s)
    fired = [reason.says for reason in known.reasons if reason.fired]
    planned = plan.schedule.after(known.since)
    wanted = [*fired]
    if planned is not None and planned <= known.now:
        wanted.append(f"{plan.schedule.words} since {_day(known.since)}")
    if not wanted:
        unknown = [reason.says for reason in known.reasons if reason.fired is None]
        next_time = "no schedule" if planned is None else f"next by schedule on {_day(planned)}"
        return Due(False, "; ".join([next_time, *unknown]))
    why = "; ".join(wanted)
    if rests > known.now:
        return Due(False, f"it rests until {_minute(rests)}: {why}")
    return Due(True, why)


def _goes_on(following: Following) -> Due:
    if following.awaits:
        why = f"the {following.what} of {following.run} waits: {following.awaits}"
        return Due(False, why, following.run)
    why = f"{following.run} passed its gates, and its {following.what} is next"
    return Due(True, why, following.run)


def counted_from(
    until: Sequence[datetime], after: Sequence[datetime], now: datetime
) -> datetime | None:
    """When the last training was, by a clock that may have been set.

    `until` are the times of the ledger's lines up to that of the training, and `after` those of
    the lines behind it, in their order. A training was not before the lines before it: where the
    clock was behind at the time, theirs count. Where its time is still to come, it was before the
    first line after it whose time is not, and that one counts: the wait is a little too long, and
    not without end. None where there is no such line yet.
    """
    passed = [time for time in until if time <= now]
    if until[-1] <= now:
        return max(passed)
    noticed = next((time for time in after if time <= now), None)
    return None if noticed is None else max([*passed, noticed])


def _day(time: datetime) -> str:
    return f"{time:%Y-%m-%d}"


def _minute(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC"
