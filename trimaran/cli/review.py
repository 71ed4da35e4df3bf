"""`trimaran review`: the reports of a pending run, and the checklist that it must pass."""

from __future__ import annotations

import sys
from collections.abc import Mapping
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
from trimaran.rollout.runs.checklist import (
    ANSWERS,
    ITEMS,
    Answer,
    Answers,
    parse_answers,
    read_answer,
    refused_items,
    template,
)
from trimaran.rollout.runs.people import person
from trimaran.rollout.runs.run import Run, find_run
from trimaran.rollout.runs.settings import Settings, find_settings
from trimaran.rollout.runs.states import Move, moved
from trimaran.rollout.runs.story import metric_text
from trimaran.system.console import console
from trimaran.system.errors import TrimaranError, UsageError
from trimaran.system.files import write_text
from trimaran.system.toml_text import read_utf8

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
    who, opened = person(by), Repository.open(repository)
    rules = find_settings(Path.cwd(), settings)
    entries = decisions.ledger_of(opened).entries()
    pending = find_run(decisions.runs_in(opened, entries), run)
    if blank is not None:
        if blank.exists():
            raise UsageError(f"--template {blank} exists; name another file, or remove it")
        write_text(blank, template(pending.id, _hints(opened, pending)))
        print(f"wrote {blank}; fill it in, and run: trimaran review {run} --answers {blank}")
        return
    rules.require_role("review", who)
    moved(pending.id, pending.state, Move.DEPLOY)
    _show_reports(opened, pending)
    given = _read(answers) if answers is not None else _ask(_hints(opened, pending))
    decisions.review(opened, rules, run, who, given)
    _say_next(rules, pending, given)


def _show_reports(repository: Repository, run: Run) -> None:
    from trimaran.rollout.runs.training import path_in

    print(f"{run.id}: {metric_text(run.outcome)}")
    if run.compared is not None:
        print(f"beside {run.compared.details['live']}: {run.compared.details['says']}")
    for name, kept in run.outcome.get("reports", {}).items():
        path = path_in(repository, str(kept))
        gone = "" if path.is_file() else " (it is gone)"
        print(f"{name} report: {path}{gone}")


def _hints(repository: Repository, run: Run) -> Mapping[str, str]:
    from trimaran.rollout.runs.figures import figures_of
    from trimaran.rollout.runs.hints import hints_of
    from trimaran.rollout.runs.training import path_in

    if run.finished is None:
        return {}
    try:
        figures = figures_of(path_in(repository, str(run.outcome["directory"])))
        return hints_of(figures, run.compared.details if run.compared else None)
    except TrimaranError:  # the directory is gone, and its figures with it
        return {}


def _read(path: Path) -> Answers:
    try:
        return parse_answers(read_utf8(path))
    except TrimaranError as error:
        raise TrimaranError(f"{path}: {error}") from None


def _ask(hints: Mapping[str, str]) -> Answers:
    if not sys.stdin.isatty():
        raise UsageError(
            "there is no terminal to ask the checklist in; give the answers with --answers FILE, "
            "which --template FILE writes"
        )
    return {name: _asked(name, hints.get(name, "")) for name in ITEMS}


def _asked(name: str, hint: str) -> Answer:
    screen = console()
    screen.print(f"\n{name}: {ITEMS[name]}", markup=False, highlight=False, soft_wrap=True)
    for line in hint.splitlines():
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
