"""`trimaran review`: the reports of a pending run, and the checklist that it must pass."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from trimaran.cli.options import (
    DEFAULT_REPOSITORY,
    Person,
    RepositoryPath,
    RunId,
    SettingsPath,
)
from trimaran.repository.repository import Repository
from trimaran.rollout.runs import decisions
from trimaran.rollout.runs.api import checklist
from trimaran.rollout.runs.api import review as keep_review
from trimaran.rollout.runs.checklist import (
    ANSWERS,
    Answer,
    Answers,
    Question,
    read_answer,
    read_answers,
    refused_items,
    template,
)
from trimaran.rollout.runs.people import person
from trimaran.rollout.runs.record import RunRecord, record_of
from trimaran.rollout.runs.run import Run, find_run
from trimaran.rollout.runs.settings import Settings, settings_at
from trimaran.rollout.runs.states import Move, moved
from trimaran.rollout.runs.story import canary_text, metric_text
from trimaran.system.console import console
from trimaran.system.errors import TrimaranError, UsageError
from trimaran.system.files import write_text

__all__ = ["review"]


def review(
    run: RunId,
    answers: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Take the answers from this TOML file."),
    ] = None,
    blank: Annotated[
        Path | None,
        typer.Option("--template", metavar="FILE", help="Only write that file, to fill in."),
    ] = None,
    by: Person = None,
    repository: RepositoryPath = DEFAULT_REPOSITORY,
    settings: SettingsPath = None,
) -> None:
    """Show where a run's reports are, and ask the checklist that it must pass."""
    if answers is not None and blank is not None:
        raise UsageError("--template writes the file that --answers takes; give one of the two")
    if blank is not None:
        _write_template(blank, run, repository)
        return
    who, rules = person(by), settings_at(settings)
    rules.require_role("review", who)
    opened = Repository.open(repository)
    pending = find_run(decisions.runs_in(opened, decisions.ledger_of(opened).entries()), run)
    moved(pending.id, pending.state, Move.REVIEW)
    _show_reports(record_of(opened, pending))
    if pending.compared is not None:
        print(f"beside {pending.compared.details['live']}: {pending.compared.details['says']}")
    if pending.tried is not None:
        print(f"canary, {canary_text(pending.tried.details)}")
    given = read_answers(answers) if answers is not None else _ask(checklist(run, opened))
    keep_review(run, given, by=who, repository=opened, settings=rules)
    _say_next(rules, pending, given)


def _write_template(path: Path, run: str, repository: Path) -> None:
    if path.exists():
        raise UsageError(f"--template {path} exists; name another file, or remove it")
    write_text(path, template(run, checklist(run, repository)))
    print(f"wrote {path}; fill it in, and run: trimaran review {run} --answers {path}")


def _show_reports(run: RunRecord) -> None:
    print(f"{run.run}: {metric_text(asdict(run))}")
    for name, path in run.reports.items():
        gone = "" if path.is_file() else " (it is gone)"
        print(f"{name} report: {path}{gone}")


def _ask(questions: Mapping[str, Question]) -> Answers:
    if not sys.stdin.isatty():
        raise UsageError(
            "there is no terminal to ask the checklist in; give the answers with --answers FILE, "
            "which --template FILE writes"
        )
    return {name: _asked(name, each) for name, each in questions.items()}


def _asked(name: str, asked: Question) -> Answer:
    screen = console()
    screen.print(f"\n{name}: {asked.question}", markup=False, highlight=False, soft_wrap=True)
    for line in asked.hint.splitlines():
        screen.print(f"  {line}", markup=False, highlight=False, soft_wrap=True)
    while True:
        word = typer.prompt(f"  {'/'.join(ANSWERS)}")
        note = typer.prompt("  why")
        try:
            return read_answer(name, word, note)
        except TrimaranError as error:
            screen.print(f"  {error}", markup=False, highlight=False, soft_wrap=True)


def _say_next(rules: Settings, run: Run, given: Answers) -> None:
    against = refused_items({name: {"answer": each.answer} for name, each in given.items()})
    if against:
        print(f"{run.id} is reviewed, with no to {', '.join(against)}: it cannot be deployed")
    elif rules.approvals(run.name) > 1:
        print(f"{run.id} is reviewed; another person runs: trimaran approve {run.id}")
    else:
        print(f"{run.id} is reviewed; next: trimaran deploy {run.id}")
