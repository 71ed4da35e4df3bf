"""`trimaran experiment`: two releases on live traffic, and the verdict."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from markupsafe import Markup
from rich.markup import escape
from rich.table import Table

from trimaran.cli.options import DEFAULT_REPOSITORY, AsJson, Person, RepositoryPath, share_of
from trimaran.repository.repository import Repository
from trimaran.rollout.experiments.course import Course, course
from trimaran.rollout.experiments.experiment import Experiment, record_of
from trimaran.rollout.experiments.finding import Finding
from trimaran.rollout.experiments.observed import Observed
from trimaran.rollout.experiments.verdict import Verdict, findings, verdict
from trimaran.rollout.runs.checklist import reason_of
from trimaran.rollout.runs.people import person
from trimaran.rollout.shadow.found import Found, read_found
from trimaran.rollout.traffic.units import forget_units
from trimaran.system.console import console
from trimaran.system.files import write_text

__all__ = ["report", "stop", "weigh"]

_PAGE = "report.html"
_STATUS = {"promote": 0, "abort": 1, "hold": 2, "inconclusive": 2}
_STYLES = {"met": "green", "broken": "red", "short": "yellow", "open": ""}


_Name = Annotated[
    str, typer.Argument(metavar="NAME", help="As churn/1, or churn for its newest experiment.")
]


def report(
    name: _Name,
    as_json: AsJson = False,
    output: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="HTML page. Default: next to the experiment's record."),
    ] = None,
    repository: RepositoryPath = DEFAULT_REPOSITORY,
) -> None:
    """Show what an experiment has found, its verdict or decision, and write its page.

    Exit status: 0 if the candidate is to be promoted, 1 if it is to be aborted, 2 for hold and
    inconclusive.
    """
    record = record_of(Repository.open(repository), name)
    seen = course(record.news(), name, most=0 if as_json and not output else 60)
    state = seen.state
    said = state.decision or verdict(state.plan, state.segments, state.elapsed_s)
    found = findings(state.plan, state.segments)
    answers = read_found(record.directory)
    if as_json:
        print(json.dumps(_record(seen, said, found, answers), indent=2))
    else:
        _show(seen, said, found, answers)
    if output or not as_json:
        from trimaran.rollout.experiments.report import report as page_of  # loads matplotlib

        path = output or record.directory / _PAGE
        write_text(path, page_of(seen, said, _blocks(seen, answers)))
        console(stderr=as_json).print(f"written to {path}", markup=False, highlight=False)
    raise typer.Exit(_STATUS[said.word])


def _blocks(seen: Course, answers: Found | None) -> Sequence[Markup]:
    """What a shadow has found, for the page."""
    if answers is None:
        return ()
    from trimaran.rollout.shadow.page import answers_section  # loads matplotlib

    segments = seen.state.segments
    live = functools.reduce(Observed.plus, (each.live.seen for each in segments))
    candidate = functools.reduce(Observed.plus, (each.candidate.seen for each in segments))
    return list(answers_section(answers, live, candidate))


def _show(seen: Course, said: Verdict, found: list[Finding], answers: Found | None) -> None:
    state, screen = seen.state, console()
    releases = state.releases
    print(f"{state.name}: {state.kind}, release {releases['candidate']} against {releases['live']}")
    table = Table()
    for heading in ("check", "live", "candidate", "compared", "interval", "bound", "state"):
        table.add_column(heading, justify="left" if heading in ("check", "state") else "right")
    for each in found:
        style = _STYLES[each.state]
        cells = [*each.figures(), f"[{style}]{each.state}[/{style}]" if style else each.state]
        table.add_row(escape(each.name), *cells)
    screen.print(table)
    for name, output in answers.outputs.items() if answers else ():
        far = "" if output.largest is None else f"; largest distance {output.largest:.3g}"
        print(f"{name}: {output.agreed:,} of {output.compared:,} agree{far}")
    if answers and answers.dropped:
        print(f"{answers.dropped:,} of {answers.answered:,} requests were not compared")
    for note in state.notes:
        print(note)
    ended = f", decided by {state.decided_by} at {state.decided_at}" if state.decision else ""
    print(f"{said.word}{ended}: {said.why}")


def weigh(
    name: _Name,
    percent: Annotated[
        float, typer.Argument(metavar="PERCENT", help="Of the traffic, for the candidate.")
    ],
    by: Person = None,
    repository: RepositoryPath = DEFAULT_REPOSITORY,
) -> None:
    """Change the candidate's part of the traffic; the statistics begin anew."""
    experiment = Experiment.open(Repository.open(repository), name)
    name, before = experiment.state.name, len(experiment.state.segments)
    experiment.weigh(share_of("PERCENT", percent, 20), by=person(by))
    if len(experiment.state.segments) == before:
        print(f"{name}: the candidate's share is {percent:g} % already; nothing is changed")
    else:
        print(f"{name}: {experiment.state.notes[-1]}")


def stop(
    name: _Name,
    why: Annotated[str, typer.Option(metavar="TEXT", help="Why; it is kept.")],
    by: Person = None,
    repository: RepositoryPath = DEFAULT_REPOSITORY,
) -> None:
    """End an experiment undecided; all traffic goes to what is live."""
    experiment = Experiment.open(Repository.open(repository), name)
    reason = reason_of(why, "--why has")
    experiment.decide(Verdict("inconclusive", f"Stopped: {reason}"), by=person(by))
    forget_units(experiment.directory)
    print(f"{experiment.state.name} is stopped")


def _record(
    seen: Course, said: Verdict, found: list[Finding], answers: Found | None
) -> dict[str, Any]:
    state = seen.state
    return {
        "name": state.name,
        "kind": state.kind,
        "releases": dict(state.releases),
        "began": state.began,
        "elapsed_s": state.elapsed_s,
        "verdict": said.word,
        "why": said.why,
        "decided": bool(state.decision),
        "decided_by": state.decided_by or None,
        "decided_at": state.decided_at or None,
        "alpha": state.plan.alpha,
        "checks": [each.record() for each in found],
        "segments": [
            {
                "share": each.share,
                "planned": each.planned,
                "live": each.live.seen.record(),
                "candidate": each.candidate.seen.record(),
            }
            for each in state.segments
        ],
        "notes": list(state.notes),
        **({"answers": answers.record()} if answers else {}),
    }
