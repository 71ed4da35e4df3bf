"""`trimaran shadow`: a candidate answers what is live is asked, and nobody gets its answers."""

from __future__ import annotations

import math
from typing import Annotated

import typer

from trimaran.checks.raising import checked_config
from trimaran.cli.options import DEFAULT_REPOSITORY, Person, RepositoryPath, Tritonserver, share_of
from trimaran.cli.releases import show
from trimaran.cli.traffic import (
    CandidateRelease,
    Longest,
    MoreErrors,
    MostErrors,
    SplitModel,
    candidate_of,
    errors_of,
    longest_s_of,
    run_order,
)
from trimaran.repository.config import outputs_of
from trimaran.repository.repository import Repository
from trimaran.rollout.experiments.plan import Plan
from trimaran.rollout.experiments.state import Experimenting
from trimaran.rollout.experiments.verdict import Verdict
from trimaran.rollout.shadow.shadowing import Comparing
from trimaran.rollout.traffic.orders import Order
from trimaran.system.errors import UsageError
from trimaran.system.toml_text import nearest

__all__ = ["shadow"]


def shadow(
    model: SplitModel,
    release: CandidateRelease = None,
    share: Annotated[
        float, typer.Option(metavar="PERCENT", help="Of the requests, how many are compared.")
    ] = 100.0,
    agreement: Annotated[
        float,
        typer.Option(
            metavar="PERCENT", help="Of the compared answers, how many have to agree at least."
        ),
    ] = 99.0,
    tolerance: Annotated[
        float,
        typer.Option(
            metavar="NUMBER",
            help="By how much numbers may differ: this much, and this part of live's.",
        ),
    ] = 0.01,
    output: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Compare this output alone; may be given again."),
    ] = None,
    keep_inputs: Annotated[
        bool, typer.Option("--keep-inputs", help="Keep the inputs of the worst disagreements too.")
    ] = False,
    more_errors: MoreErrors = 0.5,
    most_errors: MostErrors = None,
    longest: Longest = "",
    by: Person = None,
    repository: RepositoryPath = DEFAULT_REPOSITORY,
    tritonserver: Tritonserver = None,
) -> None:
    """Compare a release's answers with the live one's on live traffic, of which no client gets any.

    Exit status: 0 for promote, 1 for abort, 2 for inconclusive.
    """
    if not (math.isfinite(tolerance) and tolerance >= 0):
        raise UsageError(f"--tolerance is {tolerance:g}; name a number from 0 on, such as 0.01")
    config = checked_config(Repository.open(repository), model)
    known = [each.name for each in outputs_of(config)]
    for name in output or ():
        if name not in known:
            raise UsageError(f"{model} has no output {name!r}; {nearest(name, known)}")
    plan = Plan(
        steps=(share_of("--share", share, 100, whole=True),),
        errors=errors_of(more_errors, most_errors),
        latency=None,
        agreement=share_of("--agreement", agreement, 99),
        inputs=False,
        split=False,
        longest_s=longest_s_of(longest),
    )
    how = Comparing(tuple(dict.fromkeys(output or known)), tolerance, keep_inputs)
    candidate = candidate_of(repository, model, release)
    order = Order("shadow", model, candidate, plan, comparing=how)
    run_order(order, by, repository, tritonserver, look=_Progress().look)


class _Progress:
    """A line about the answers, when a tenth more has been compared."""

    def __init__(self) -> None:
        self._said = 0

    def look(self, state: Experimenting, found: Verdict) -> None:
        """Say how many answers agreed, and what the verdict is."""
        live, seen = state.segment.live.seen, state.segment.candidate.seen
        if seen.requests < self._said:
            self._said = 0
        if seen.requests <= self._said * 1.1:
            return
        self._said = seen.requests
        show(
            f"{seen.compared:,} answers compared, {seen.agreed:,} agree; errors: live "
            f"{live.errors:,}, candidate {seen.errors:,}: {found.word}"
        )
