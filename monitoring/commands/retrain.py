"""`trimaran retrain`: train again what is due, and compare it with what is live."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from monitoring.presence import PrometheusUrl
from monitoring.reasons import Monitored
from trimaran.cli.options import (
    DEFAULT_REPOSITORY,
    Person,
    RepositoryPath,
    SettingsPath,
    Tritonserver,
)
from trimaran.cli.planned import PUBLIC, Planned, planned
from trimaran.repository.repository import Repository
from trimaran.rollout.retrain_plan import RetrainPlan
from trimaran.rollout.retraining.due import Due, due
from trimaran.rollout.retraining.units import TIMER, units
from trimaran.rollout.runs.checklist import Answers, parse_answers, refused_items
from trimaran.rollout.runs.people import person
from trimaran.rollout.runs.settings import Plan, Settings, find_settings
from trimaran.system.console import console, printable
from trimaran.system.errors import TrimaranError, UsageError
from trimaran.system.files import write_text
from trimaran.system.toml_text import read_utf8

if TYPE_CHECKING:  # pandas and torch take seconds to import, and wrong usage is refused at once
    from trimaran.rollout.retraining.retrain import Retrained
    from trimaran.training.tabular.runs.trained import TrainedRun

__all__ = ["retrain"]

_ASKED = "it was asked for"
_NOT_GOOD_ENOUGH = 3


@dataclass(frozen=True)
class _Settled:
    """What holds for all names of one call."""

    repository: Repository
    settings: Settings
    by: str
    out: Path
    data: str | None
    monitored: Monitored


def retrain(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help="Train this one now. Or give --due."),
    ] = None,
    only_due: Annotated[
        bool,
        typer.Option("--due", help="Train every name that is due, as its table of retrain says."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what is due, and why.")
    ] = False,
    data: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Of one name: other data than rollout.toml names."),
    ] = None,
    deploy: Annotated[
        bool,
        typer.Option("--deploy", help="Of one name: deploy it if it passes, by --answers."),
    ] = False,
    answers: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="For --deploy: the checklist's answers, as TOML."),
    ] = None,
    timer: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Only write systemd units that run --due, to this folder."
        ),
    ] = None,
    by: Person = None,
    out: Annotated[Path, typer.Option(help="Folder of the runs.")] = Path("runs"),
    repository: RepositoryPath = DEFAULT_REPOSITORY,
    settings: SettingsPath = None,
    prometheus: PrometheusUrl = None,
    tritonserver: Tritonserver = None,
) -> None:
    """Train a model again on its table, and compare it with the live one on untouched rows.

    The run then waits as pending, with the comparison and its gates. The same command resumes an
    interrupted one. Exit status: 0 if nothing failed, also if nothing was due; 1 if a name could
    not be looked at or trained; 3 if a run did not pass its gates.
    """
    if timer is not None:
        _write_units(timer, repository, settings)
        return
    if (name is None) is not only_due:
        raise UsageError("name what to train again, or give --due for all that is due; one of both")
    for option, given in (("--data", data is not None), ("--deploy", deploy)):
        if only_due and given:
            raise UsageError(f"{option} is for one name; leave --due out, and give a name")
    if deploy is not (answers is not None):
        raise UsageError("--deploy and --answers belong together; give both, or none")
    who, rules = person(by), find_settings(Path.cwd(), settings)
    checklist = _permitted(rules, who, name, answers) if name and answers else None
    opened = Repository.open(repository)
    settled = _Settled(opened, rules, who, out, data, Monitored(repository, prometheus))
    if name is not None:
        plan = rules.plan(name, PUBLIC)
        work = _work(settled, plan)
        if dry_run:
            raise typer.Exit(_show([(plan.name, _look(settled, plan, work, note=False))]))
        done = _retrain(settled, plan, work, _ASKED)
        if done.failed:
            raise typer.Exit(_NOT_GOOD_ENOUGH)
        if checklist is not None:
            _deploy(settled, done, checklist, tritonserver)
        return
    raise typer.Exit(_all_due(settled, dry_run=dry_run))


def _all_due(settled: _Settled, *, dry_run: bool) -> int:
    """Look at every name, then train those that are due; the exit status."""
    plans = [plan for plan in settled.settings.plans.values() if plan.retrain is not None]
    if not plans:
        where = settled.settings.path or "rollout.toml"
        raise TrimaranError(f"no name has a table [NAME.retrain] in {where}; add one")
    looked: list[tuple[str, Due | TrimaranError]] = []
    works: dict[str, Planned] = {}
    for plan in plans:
        try:
            works[plan.name] = _work(settled, plan)
            looked.append((plan.name, _look(settled, plan, works[plan.name], note=not dry_run)))
        except TrimaranError as error:
            looked.append((plan.name, error))
    status = _show(looked)
    for plan, (name, found) in zip(plans, looked, strict=True):
        if dry_run or isinstance(found, TrimaranError) or not found.is_due:
            continue
        try:
            done = _retrain(settled, plan, works[name], found.why)
            status = status or (_NOT_GOOD_ENOUGH if done.failed else 0)
        except TrimaranError as error:
            console(stderr=True).print(
                f"error: {name}: {error}", markup=False, highlight=False, soft_wrap=True
            )
            status = TrimaranError.exit_status
    return status


def _work(settled: _Settled, plan: Plan) -> Planned:
    work = planned(plan, settled.data, settled.out)
    if not work.of_tables:
        raise TrimaranError(
            f"{plan.name} is trained on {work.family.of}, and only a run of a table of records can "
            f"be compared with the live one; use 'trimaran run {plan.name}'"
        )
    return work


def _look(settled: _Settled, plan: Plan, work: Planned, *, note: bool) -> Due:
    from trimaran.rollout.retraining.looking import known_of, note_clock

    rules = plan.retrain or RetrainPlan()
    known = known_of(settled.repository, plan.name, rules, work, settled.monitored)
    found = due(rules, known)
    if known.since is None and known.live is not None and note:
        note_clock(settled.repository, plan.name, settled.by)
    return found


def _show(looked: list[tuple[str, Due | TrimaranError]]) -> int:
    """Print a line for each name; the exit status by what could not be looked at."""
    table = Table()
    for heading in ("name", "due", "why"):
        table.add_column(heading, overflow="fold")
    for name, found in looked:
        if isinstance(found, TrimaranError):
            table.add_row(escape(name), "[red]not known[/red]", escape(printable(str(found))))
        else:
            said = "[yellow]yes[/yellow]" if found.is_due else "no"
            table.add_row(escape(name), said, escape(printable(found.why)))
    console().print(table)
    failed = any(isinstance(found, TrimaranError) for _, found in looked)
    return TrimaranError.exit_status if failed else 0


def _retrain(settled: _Settled, plan: Plan, work: Planned, why: str) -> Retrained:
    from trimaran.rollout.retraining.retrain import retrain as train_again

    done = train_again(
        settled.repository,
        plan,
        plan.retrain or RetrainPlan(),
        work,
        _exported,
        settled.by,
        why,
        settled.out,
        _say,
    )
    _say(f"{done.id}: {done.says}")
    if done.failed:
        _say(f"{done.id} is pending, and did not pass: {', '.join(done.failed)}")
    else:
        _say(f"{done.id} is pending; next: trimaran review {done.id}")
    return done


def _exported(run: TrainedRun, folder: Path) -> Path:
    from exporters.api import export

    place = os.path.relpath(run.directory)
    place = place if os.sep in place else f".{os.sep}{place}"
    scratch = Repository.create(folder / "model_repository")
    (result,) = export(place, "onnx", scratch)
    return scratch.model(result.model) / "1" / "model.onnx"


def _permitted(settings: Settings, by: str, name: str, answers: Path) -> Answers:
    """The answers of a file, once it is sure that they suffice for a deployment by `by`."""
    for role in ("review", "deploy"):
        settings.require_role(role, by)
    if settings.approvals(name) > 1:
        raise UsageError(
            f"{name} needs {settings.approvals(name)} people behind a run, which --deploy cannot "
            "ask; leave it out"
        )
    try:
        found = parse_answers(read_utf8(answers))
    except TrimaranError as error:
        raise TrimaranError(f"{answers}: {error}") from None
    against = refused_items({key: {"answer": each.answer} for key, each in found.items()})
    if against:
        raise UsageError(f"{answers} says no to {', '.join(against)}; nothing was trained")
    return found


def _deploy(
    settled: _Settled, done: Retrained, checklist: Answers, tritonserver: Path | None
) -> None:
    from ensembles.deploy_command import made_of_run
    from trimaran.rollout.runs.decisions import review
    from trimaran.rollout.runs.deploying import deploy_run

    review(settled.repository, settled.settings, done.id, settled.by, checklist)
    deploy_run(
        settled.repository,
        settled.settings,
        done.id,
        settled.by,
        made_of_run,
        tritonserver=tritonserver,
        say=_say,
    )
    _say(f"{done.id} is deployed")


def _write_units(folder: Path, repository: Path, settings: Path | None) -> None:
    command = [sys.executable, "-m", "trimaran", "retrain", "--due"]
    command.append(f"--repository={repository.resolve()}")
    command += [f"--settings={settings.resolve()}"] if settings is not None else []
    texts: Mapping[str, str] = units(command, Path.cwd(), getpass.getuser())
    for name, text in texts.items():
        write_text(folder / name, text)
        print(f"wrote {folder / name}")
    print(f"next, as root: cp {folder}/trimaran-retrain.* /etc/systemd/system/ && ", end="")
    print(f"systemctl enable --now {TIMER}")


def _say(sentence: str) -> None:
    console().print(sentence, markup=False, highlight=False, soft_wrap=True)
