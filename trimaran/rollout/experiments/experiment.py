"""An experiment on disk: it takes what was seen, and answers the verdict.

    experiment = Experiment.begin(repository, "churn", "canary", "7", "8", Plan(), by="anna")
    live = Observed(requests=95, units=95, errors=0)
    found = experiment.observe(live, Observed(requests=5, units=5, errors=1))
    if found.word != "hold":
        experiment.decide(found, by="gateway")

A line of the record is on the disk before an answer is given, so an experiment goes on where it was
after a restart: `Experiment.open(repository, "churn/1")`. Several processes may write to one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from trimaran.repository.repository import Repository, check_model_name
from trimaran.rollout.experiments.observed import Observed, Values
from trimaran.rollout.experiments.plan import Plan
from trimaran.rollout.experiments.segments import ArmName
from trimaran.rollout.experiments.state import Experimenting, after, folded
from trimaran.rollout.experiments.verdict import Verdict, verdict
from trimaran.rollout.ledger import Entry, Ledger, LedgerWriter
from trimaran.system.errors import TrimaranError, UsageError
from trimaran.system.files import exclusive_lock

__all__ = ["KINDS", "Experiment", "experiments_of", "record_of"]

KINDS = ("canary", "shadow", "ab")
_GATEWAY = "gateway"

Clock = Callable[[], datetime]


def _now() -> datetime:
    return datetime.now(UTC)


class Experiment:
    """One experiment. Each call may raise `TrimaranError` where its record cannot be right."""

    def __init__(self, record: Ledger, state: Experimenting) -> None:
        self._record = record
        self.state = state
        self._found: tuple[Experimenting, Verdict | None] = (state, None)

    @classmethod
    def begin(
        cls,
        repository: Repository,
        model: str,
        kind: str,
        live: str,
        candidate: str,
        plan: Plan,
        *,
        by: str,
        header: str = "",
        now: Clock = _now,
    ) -> Experiment:
        """Begin the next experiment of a model, with the releases `live` and `candidate`.

        `header` is the one that holds a client's key, where clients stay with their arm. Raises
        `UsageError` for a kind or name that is none, and `TrimaranError` while another experiment
        of the model goes on.
        """
        check_model_name(model)
        if kind not in KINDS:
            raise UsageError(f"{kind!r} is no kind of experiment; name {', '.join(KINDS)}")
        if live == candidate:
            raise UsageError(
                f"{model}: release {candidate} is the live one; name another as the candidate"
            )
        directory = _directory(repository, model)
        with exclusive_lock(directory / ".lock"):
            number = max(_numbers(directory), default=0)
            if (
                number
                and (going := cls.open(repository, f"{model}/{number}")).state.decision is None
            ):
                raise TrimaranError(
                    f"{going.state.name} goes on; decide it before {model} gets another experiment"
                )
            record = Ledger(directory / str(number + 1), now, follows=True)
            details = {
                "kind": kind,
                "releases": {"live": live, "candidate": candidate},
                "plan": plan.record(),
                **({"header": header} if header else {}),
            }
            with record.writing() as writer:
                entry = writer.add(by, "began", f"{model}/{number + 1}", details)
        state = folded([entry])
        assert state is not None  # noqa: S101 - there is a line
        return cls(record, state)

    @classmethod
    def open(cls, repository: Repository, name: str, now: Clock = _now) -> Experiment:
        """One that was begun: `churn/1`, or `churn` for the newest. Raises `TrimaranError`."""
        record = record_of(repository, name, now)
        state = folded(record.news())
        if state is None:
            raise TrimaranError(f"{record.path} has no whole line; the experiment never began")
        return cls(record, state)

    @property
    def directory(self) -> Path:
        """Where its record is."""
        return self._record.directory

    def observe(self, live: Observed, candidate: Observed, by: str = _GATEWAY) -> Verdict:
        """Record what was seen since the last call, and say the verdict.

        Raises `TrimaranError` for an experiment that was decided, and for counts that cannot be.
        """
        details = {"live": live, "candidate": candidate}
        for arm, seen in details.items():
            if problem := seen.problem():
                raise TrimaranError(
                    f"{self.state.name}: what was seen of {arm} cannot be: {problem}"
                )
        self._add(by, "look", {arm: seen.record() for arm, seen in details.items()}, "requests")
        return self.verdict()

    def outcomes(
        self,
        arm: ArmName,
        goal: str,
        values: Iterable[float],
        *,
        segment: int | None = None,
        of: Sequence[str] = (),
        by: str = _GATEWAY,
    ) -> Verdict:
        """Record outcomes of predictions that an arm made, and say the verdict.

        `segment` is the one of the predictions, from 1; by default the last. `of` has a digest for
        each value, by which those who count outcomes know which are recorded. Raises
        `TrimaranError` for an outcome outside of the goal's bounds and for an experiment that was
        decided, and `UsageError` for a goal or segment that is not there.
        """
        named = self.state.plan.goal(goal)
        found = Values.of(values, named.low, named.high)
        if named.binary and not math.isclose(found.total, found.squares, abs_tol=1e-9):
            raise TrimaranError(
                f"an outcome of {goal!r} is neither 0 nor 1; give its plan binary = False"
            )
        details: dict[str, Any] = {arm: Observed(outcomes={goal: found}).record()}
        if segment is not None:
            if not 1 <= segment <= len(self.state.segments):
                raise UsageError(
                    f"{self.state.name} has no segment {segment}; it has {len(self.state.segments)}"
                )
            details["segment"] = segment
        if of:
            details["of"] = list(of)
        self._add(by, "outcomes", details, "outcomes")
        return self.verdict()

    def go_on(self, *, by: str) -> None:
        """Record that the candidate gets traffic again, after an interruption."""
        self._add(by, "resumed", {}, "requests")

    def weigh(self, share: float, *, by: str) -> None:
        """Give the candidate another share of the traffic; the statistics begin anew.

        Raises `UsageError` for a share that is none, and `TrimaranError` for an experiment that was
        decided.
        """
        if not 0 < share < 1:
            raise UsageError(
                f"{share:g} is no share of the traffic; name one between 0 and 1, such as 0.25"
            )
        if share != self.state.segment.share:
            self._add(by, "weights", {"share": share}, "weights")

    def decide(self, decision: Verdict, *, by: str) -> None:
        """End it. Raises `TrimaranError` where it has ended, `UsageError` for `hold`."""
        if decision.word == "hold":
            raise UsageError("hold is no decision; name promote, abort or inconclusive")
        details = {"verdict": decision.word, "why": decision.why}
        self._add(by, "decided", details, "decisions")

    def verdict(self) -> Verdict:
        """The decision; before there is one, what is to be done by all that was seen.

        It is found again only once something came.
        """
        state, (before, found) = self.state, self._found
        if found is None or state is not before:
            found = state.decision or verdict(state.plan, state.segments, state.elapsed_s)
            self._found = state, found
        return found

    def require_going(self, what: str) -> None:
        """Raise `TrimaranError` where it was decided, so that no more of `what` counts."""
        if self.state.decision is not None:
            raise TrimaranError(
                f"{self.state.name} ended at {self.state.decided_at} with "
                f"{self.state.decision.word!r}; further {what} do not count"
            )

    def refresh(self) -> None:
        """Take in what other processes have recorded."""
        self._take(self._record.news())

    def _add(self, by: str, event: str, details: Mapping[str, Any], what: str) -> None:
        with self._writing(what) as writer:
            self._take([writer.add(by, event, self.state.name, details)])

    @contextmanager
    def _writing(self, what: str) -> Iterator[LedgerWriter]:
        with self._record.writing() as writer:
            self._take(writer.entries)
            self.require_going(what)
            yield writer

    def _take(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            self.state = after(self.state, entry)


def record_of(repository: Repository, name: str, now: Clock = _now) -> Ledger:
    """The record of an experiment that was begun: `churn/1`, or `churn` for the newest.

    Raises `TrimaranError` where there is none.
    """
    model, slash, number = name.partition("/")
    check_model_name(model)
    directory = _directory(repository, model)
    numbers = _numbers(directory)
    if not numbers:
        raise TrimaranError(f"{model} has had no experiment in {repository.root}")
    if slash and number not in map(str, numbers):
        raise TrimaranError(
            f"{model} has no experiment {number!r}; it has {', '.join(map(str, numbers))}"
        )
    return Ledger(directory / (number if slash else str(numbers[-1])), now, follows=True)


def experiments_of(repository: Repository, model: str) -> list[str]:
    """The names of a model's experiments, the oldest first."""
    return [f"{model}/{number}" for number in _numbers(_directory(repository, model))]


def _directory(repository: Repository, model: str) -> Path:
    return repository.state / "experiments" / model


def _numbers(directory: Path) -> list[int]:
    """Of the experiments that began; one whose first line was never written did not."""
    found = directory.glob("[1-9]*/ledger.jsonl")
    return sorted(int(each.parent.name) for each in found if each.parent.name.isdecimal())
