"""What an experiment is to do, and the one that an order goes on with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

from trimaran.repository.repository import Repository
from trimaran.rollout.experiments.experiment import Experiment, experiments_of
from trimaran.rollout.experiments.plan import Plan
from trimaran.rollout.experiments.verdict import Verdict
from trimaran.rollout.shadow.shadowing import Comparing
from trimaran.rollout.traffic.units import forget_units
from trimaran.system.errors import TrimaranError
from trimaran.system.files import exclusive_lock

__all__ = ["Order", "alone", "going_of", "replaced_by", "with_bound"]


@dataclass(frozen=True)
class Order:
    """What to compare, and how."""

    kind: str
    """`canary`, `ab` or `shadow`."""
    model: str
    release: int
    """The candidate: a release, or a version of a model that is no ensemble."""
    plan: Plan
    each_s: float = 0.0
    """How long each step takes at least, seconds."""
    header: str = ""
    """The header that holds a client's key."""
    comparing: Comparing | None = None
    """Of a shadow, how answers are compared."""


@contextmanager
def alone(repository: Repository, model: str) -> Iterator[None]:
    """Keep other processes from an experiment of a model. Raises `TrimaranError`."""
    path = repository.state / "experiments" / model / ".conducted"
    with ExitStack() as stack:
        try:
            stack.enter_context(exclusive_lock(path, wait=False))
        except BlockingIOError:
            raise TrimaranError(
                f"another process conducts an experiment of {model}; see 'trimaran experiment "
                f"report {model}'"
            ) from None
        yield


def going_of(repository: Repository, order: Order, live: int, by: str) -> Experiment | None:
    """The experiment that the order goes on with. Raises `TrimaranError` where it is another.

    One whose live release was replaced, while nobody conducted it, is ended.
    """
    names = experiments_of(repository, order.model)
    if not names:
        return None
    found = Experiment.open(repository, names[-1])
    state = found.state
    if state.decision is not None:
        return None
    if state.releases["live"] != str(live):
        _end(found, live, by)
        return None
    plan = with_bound(order.plan, state.plan.errors.most if state.plan.errors else None)
    same = (state.kind, state.plan, state.header) == (order.kind, plan, order.header)
    if same and state.releases == {"live": str(live), "candidate": str(order.release)}:
        return found
    releases = state.releases
    raise TrimaranError(
        f"the experiment {state.name} goes on: {state.kind} of release {releases['candidate']} "
        f"against {releases['live']}. Go on with the command that began it, or end it with "
        f"'trimaran experiment stop {state.name}'"
    )


def _end(left: Experiment, live: int, by: str) -> None:
    """Decide an experiment whose process ended before it had, after something else became live."""
    said = left.verdict()
    won = said.word == "promote" and left.state.releases["candidate"] == str(live)
    left.decide(said if won else replaced_by(live), by=by)
    forget_units(left.directory)


def replaced_by(live: int | None) -> Verdict:
    """The verdict on a candidate whose rival is not live any more."""
    now = "none" if live is None else live
    return Verdict(
        "inconclusive", f"Release {now} was made live, so nothing is left to compare with."
    )


def with_bound(plan: Plan, most: float | None) -> Plan:
    """The plan, with a bound for errors where it names none."""
    if plan.errors is None or plan.errors.most is not None:
        return plan
    return replace(plan, errors=replace(plan.errors, most=most))
