"""`trimaran canary` and `ab`: a candidate on a part of the live traffic."""

from __future__ import annotations

import itertools
import math
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from trimaran.checks.raising import checked_config
from trimaran.cli.options import DEFAULT_REPOSITORY, Person, RepositoryPath, Tritonserver, share_of
from trimaran.cli.releases import deploy_model, show
from trimaran.gateway.presence import find_gateway
from trimaran.repository.repository import Repository
from trimaran.rollout.experiments.plan import Errors, Goal, Latency, Plan
from trimaran.rollout.experiments.state import Experimenting
from trimaran.rollout.experiments.verdict import Verdict
from trimaran.rollout.runs.decisions import require_no_waiting_run
from trimaran.rollout.runs.people import person
from trimaran.rollout.traffic.conducting import conduct
from trimaran.rollout.traffic.orders import Order
from trimaran.rollout.traffic.plan_file import parse_goal, read_plan
from trimaran.system.durations import seconds_of
from trimaran.system.errors import TrimaranError, UsageError

__all__ = [
    "CandidateRelease",
    "Longest",
    "MoreErrors",
    "MostErrors",
    "SplitModel",
    "ab",
    "canary",
    "canary_order",
    "candidate_of",
    "conducted",
    "errors_of",
    "figures_of",
    "longest_s_of",
    "run_order",
]

_ALL = 100
_IDLE_S = 60.0
_STATUS = {"promote": 0, "abort": 1, "inconclusive": 2}
_HEADER = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")

SplitModel = Annotated[
    str, typer.Argument(metavar="MODEL", help="An ensemble, or a model that is not a step of one.")
]
CandidateRelease = Annotated[
    int | None,
    typer.Option(
        metavar="N", help="The candidate: a release, or a model's version. Default: the newest."
    ),
]
_Key = Annotated[
    str,
    typer.Option(
        metavar="HEADER",
        help="Header (over gRPC: metadata) that names a client, who then stays with its release. "
        "Default: each request by itself.",
    ),
]
MoreErrors = Annotated[
    float,
    typer.Option(
        metavar="POINTS", help="How much higher the candidate's error ratio may be, in percent."
    ),
]
MostErrors = Annotated[
    float | None,
    typer.Option(
        metavar="PERCENT",
        help="Error ratio above which the candidate is taken back. Default: by what the live "
        "release has shown at the gateway.",
    ),
]
_P99 = Annotated[
    float,
    typer.Option(
        metavar="PERCENT", help="How much longer the candidate's p99 may be; 0 not to look at it."
    ),
]
Longest = Annotated[
    str, typer.Option(metavar="DURATION", help="After it the experiment ends undecided.")
]
_GoalName = Annotated[
    str,
    typer.Option(
        metavar="GOAL",
        help="An outcome to compare: accuracy, or another one of predictions; or one of clients, "
        "with its bounds, as sales:0:200.",
    ),
]
_Margin = Annotated[
    float | None,
    typer.Option(
        metavar="POINTS",
        help="How much worse the candidate's may be, in points, or in the unit of a goal with "
        "bounds. Default: 2, or 2 percent of the bounds' distance.",
    ),
]
_PlanFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="plan.toml; what it says goes before other options."),
]
_Deploy = Annotated[
    bool, typer.Option("--deploy/--no-deploy", help="Make a candidate that wins live.")
]


def canary(
    model: SplitModel,
    release: CandidateRelease = None,
    steps: Annotated[
        str,
        typer.Option(
            metavar="PERCENTS", help="Parts of the traffic, one after the other; 100 at the end."
        ),
    ] = "5,25,50,100",
    each: Annotated[
        str, typer.Option(metavar="DURATION", help="How long each of them takes at least.")
    ] = "10m",
    key: _Key = "",
    more_errors: MoreErrors = 0.5,
    most_errors: MostErrors = None,
    longer_p99: _P99 = 25.0,
    goal: _GoalName = "",
    margin: _Margin = None,
    plan: _PlanFile = None,
    longest: Longest = "",
    by: Person = None,
    deploy: _Deploy = True,
    repository: RepositoryPath = DEFAULT_REPOSITORY,
    tritonserver: Tritonserver = None,
) -> None:
    """Give a release a growing part of the live traffic, through the gateway.

    It is taken back as soon as it is proven to be worse, and made live once it is proven not to
    be. Interrupted, it gets no traffic; the same command goes on.

    Exit status: 0 if it was made live, 1 if it was taken back, 2 if that was not decided.
    """
    order = canary_order(
        model,
        candidate_of(repository, model, release),
        steps=steps,
        each=each,
        key=key,
        more_errors=more_errors,
        most_errors=most_errors,
        longer_p99=longer_p99,
        goal=goal,
        margin=margin,
        plan=plan,
        longest=longest,
    )
    run_order(order, by, repository, tritonserver, deploys=deploy)


def canary_order(
    model: str,
    release: int,
    *,
    steps: str,
    each: str,
    key: str,
    more_errors: float,
    most_errors: float | None,
    longer_p99: float,
    goal: str,
    margin: float | None,
    plan: Path | None,
    longest: str,
) -> Order:
    """What the options of `canary` ask for. Raises `UsageError`."""
    options = Plan(
        steps=_steps(steps),
        errors=errors_of(more_errors, most_errors),
        latency=_latency(longer_p99),
        goals=_goals(goal, margin),
        longest_s=longest_s_of(longest),
    )
    each_s = seconds_of(each, "--each", bare=True)
    planned = read_plan(plan, options) if plan else options
    return Order("canary", model, release, planned, each_s, _header(key))


def ab(
    model: SplitModel,
    release: CandidateRelease = None,
    share: Annotated[
        float, typer.Option(metavar="PERCENT", help="The candidate's part of the traffic.")
    ] = 50.0,
    key: _Key = "",
    more_errors: MoreErrors = 0.5,
    most_errors: MostErrors = None,
    longer_p99: _P99 = 25.0,
    goal: _GoalName = "",
    margin: _Margin = None,
    plan: _PlanFile = None,
    longest: Longest = "",
    by: Person = None,
    deploy: _Deploy = False,
    repository: RepositoryPath = DEFAULT_REPOSITORY,
    tritonserver: Tritonserver = None,
) -> None:
    """Compare a release with the live one on live traffic, until one of them is proven.

    Exit status: 0 for promote, 1 for abort, 2 for inconclusive.
    """
    options = Plan(
        steps=(share_of("--share", share, 50),),
        errors=errors_of(more_errors, most_errors),
        latency=_latency(longer_p99),
        goals=_goals(goal, margin),
        longest_s=longest_s_of(longest),
    )
    planned = read_plan(plan, options) if plan else options
    if len(planned.steps) > 1:
        raise UsageError(
            f"{plan} has {len(planned.steps)} steps; an A/B test has one share of the traffic: "
            "use 'trimaran canary', or leave out steps"
        )
    candidate = candidate_of(repository, model, release)
    order = Order("ab", model, candidate, planned, header=_header(key))
    run_order(order, by, repository, tritonserver, deploys=deploy)


def run_order(
    order: Order,
    by: str | None,
    root: Path,
    tritonserver: Path | None,
    *,
    deploys: bool = False,
    look: Callable[[Experimenting, Verdict], None] | None = None,
) -> None:
    """Conduct an experiment, and end with the status of its verdict."""
    who = person(by)
    repository = Repository.open(root)
    if deploys:
        _require_deployable(repository, order)

    def deploy(found: Verdict) -> None:
        deploy_model(order.model, order.release, who, root, tritonserver)

    found = conducted(
        repository,
        order,
        by=who,
        look=look,
        deploy=deploy if deploys else None,
        tritonserver=tritonserver,
    )
    if found.word == "promote" and not deploys:
        show(f"next: trimaran deploy {order.model} --release {order.release}")
    raise SystemExit(_STATUS[found.word])


def _require_deployable(repository: Repository, order: Order) -> None:
    try:
        require_no_waiting_run(repository, order.model, order.release)
    except TrimaranError as error:
        raise TrimaranError(f"{error}; to try it only, give --no-deploy") from None


def conducted(
    repository: Repository,
    order: Order,
    *,
    by: str,
    look: Callable[[Experimenting, Verdict], None] | None = None,
    deploy: Callable[[Verdict], None] | None = None,
    unwanted: Callable[[], str] = str,
    tritonserver: Path | None = None,
) -> Verdict:
    """As `conduct`, at the gateway that runs on the repository, printing what happens."""
    try:
        return conduct(
            repository,
            order,
            figures_of(repository, does="copies" if order.comparing else "divides"),
            by=by,
            say=show,
            look=look or _Progress().look,
            deploy=deploy,
            unwanted=unwanted,
            tritonserver=tritonserver,
        )
    except KeyboardInterrupt:
        show("interrupted: no client is given to the candidate; the same command goes on")
        raise


def candidate_of(root: Path, model: str, release: int | None) -> int:
    """The release that is named, or the newest. Raises `TrimaranError` where there is none."""
    repository = Repository.open(root)
    checked_config(repository, model)
    if release is not None:
        return repository.version(model, release).number
    newest = repository.newest(model)
    if newest is None:
        raise TrimaranError(f"{model} has no release yet; see 'trimaran status'")
    return newest.number


def figures_of(repository: Repository, *, does: str = "divides") -> str:
    """Where the gateway that runs on a repository has its figures. Raises `TrimaranError`."""
    found = find_gateway(repository)
    if found is None or not found.runs:
        raise TrimaranError(
            f"no gateway runs on {repository.root}, and it is what {does} the traffic; start one "
            "with 'trimaran gateway up'"
        )
    return f"http://{found.metrics_host}:{found.metrics_port}/metrics"


class _Progress:
    """A line about both arms, when a tenth more has been seen, or nothing for a minute."""

    def __init__(self) -> None:
        self._said = 0
        self._when = time.monotonic()

    def look(self, state: Experimenting, found: Verdict) -> None:
        """Say what the arms did at this share, and what the verdict is."""
        arms = {"live": state.segment.live.seen, "candidate": state.segment.candidate.seen}
        total = sum(each.requests for each in arms.values())
        if total < self._said:
            self._said = 0
        idle = time.monotonic() - self._when > _IDLE_S
        if total <= self._said * 1.1 and not idle:
            return
        self._said, self._when = total, time.monotonic()
        if idle:
            show(f"{found.word}: {found.why}")
            return
        told = "; ".join(
            f"{arm} {each.requests:,} requests, {each.errors:,} errors"
            for arm, each in arms.items()
        )
        show(f"{told}: {found.word}")


def _steps(text: str) -> tuple[float, ...]:
    """The shares before all of the traffic."""
    try:
        percents = [float(each) for each in text.split(",")]
    except ValueError:
        percents = []
    rising = all(one < other for one, other in itertools.pairwise(percents))
    if len(percents) < 2 or not rising or not percents[0] > 0 or percents[-1] != _ALL:
        raise UsageError(
            f"--steps is {text!r}; expected rising percents that end with 100, such as 5,25,50,100"
        )
    return tuple(each / _ALL for each in percents[:-1])


def errors_of(more: float, most: float | None) -> Errors:
    """The check of errors. Raises `UsageError` for a percent that is none."""
    bound = None if most is None else share_of("--most-errors", most, 1)
    return Errors(share_of("--more-errors", more, 0.5), bound)


def _goals(named: str, margin: float | None) -> tuple[Goal, ...]:
    if margin is not None and not named:
        raise UsageError("--margin is a goal's, and --goal names none")
    return (parse_goal(named, margin),) if named else ()


def longest_s_of(longest: str) -> float | None:
    """How long an experiment may take, in seconds; None for as long as it needs."""
    return seconds_of(longest, "--longest") if longest else None


def _latency(longer: float) -> Latency | None:
    if not (math.isfinite(longer) and longer >= 0):
        raise UsageError(
            f"--longer-p99 is {longer:g}; name a percent above 0, such as 25, or 0 not to look at "
            "the p99"
        )
    return Latency(margin=longer / _ALL) if longer else None


def _header(key: str) -> str:
    name = key.lower()
    if key and not _HEADER.fullmatch(name):
        raise UsageError(
            f"--key {key!r} is no header's name that the gateway takes; use letters, digits and "
            "'-', such as customer-id"
        )
    return name
