"""One mutated repository, given to the checker and to the real server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from random import Random

from proofs.mutations.mutating import KINDS, LASTING, mutate, repositories_of
from proofs.mutations.oracle import Oracle
from proofs.mutations.repositories import GOOD, Draft, good_repository
from trimaran.checks.api import check
from trimaran.checks.finding import Severity
from trimaran.repository.repository import Repository
from trimaran.serving.server import all_complete

__all__ = ["Outcome", "Trial", "hold_trial", "make_trials"]


@dataclass(frozen=True)
class Trial:
    """A repository and what was changed in it; nothing in a good one."""

    number: int
    good: str
    kind: str
    change: str
    draft: Draft


@dataclass(frozen=True)
class Outcome:
    """Why the model is not served by the checker and by the server, or `None`."""

    trial: Trial
    checker: str | None
    server: str | None


def make_trials(total: int, seed: int) -> Iterator[Trial]:
    """The good repositories, and then mutations of all kinds in turn, `total` in all."""
    rng = Random(seed)  # noqa: S311 - repeatable, not secret
    numbers = count()
    for good in list(GOOD)[:total]:
        number = next(numbers)
        yield Trial(number, good, "none", "", good_repository(good, _prefix(number)))
    left = max(total - len(GOOD), 0)
    # A mutation that does not apply to the drawn repository is drawn again.
    kinds = list(KINDS)
    place = 0
    while left:
        kind = kinds[place % len(kinds)]
        good = rng.choice(repositories_of(kind, GOOD))
        number = next(numbers)
        draft = good_repository(good, _prefix(number))
        change = mutate(rng, kind, draft)
        if change:
            place, left = place + 1, left - 1
            yield Trial(number, good, kind, change, draft)


def _prefix(number: int) -> str:
    return f"t{number}_"


def hold_trial(oracle: Oracle, trial: Trial) -> Outcome:
    """Write the repository, ask the checker and the server, and remove it again."""
    scratch = Repository.create(oracle.scratch)
    names = sorted(trial.draft.folders)
    try:
        trial.draft.write(scratch.root)
        report = check(scratch)
        said = [f.sentence for f in report.findings if f.severity is Severity.ERROR]
        said += [f"{name} has no version yet" for name in report.unserved]
        complete = all_complete(scratch)
        oracle.take(complete, names)
        refusal = oracle.refusal(complete, names)
        if refusal and not said and not oracle.is_running(complete):
            refusal = oracle.refusal(complete, names)  # A server may end for another reason.
        return Outcome(trial, said[0] if said else None, refusal)
    finally:
        for complete in (True, False):
            oracle.forget(complete, names)
        if trial.kind in LASTING:
            oracle.stop()
