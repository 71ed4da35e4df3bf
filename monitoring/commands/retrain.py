"""`trimaran retrain`: train again what is due, and compare it with what is live."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Mapping, Sequence
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
from trimaran.rollout.runs.checklist import Answers, read_answers, refused_items
from trimaran.rollout.runs.people import person
from trimaran.rollout.runs.settings import SETTINGS_FILE, Plan, Settings, settings_at
from trimaran.system.console import console, printable
from trimaran.system.errors import TrimaranError, UsageError
from trimaran.system.files import write_text

if TYPE_CHECKING:  # pandas and torch take seconds to import, and wrong usage is refused at once
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
    checklist: Answers | None
    """What a run that passes is deployed with; None where it waits."""
    tritonserver: Path | None


def retrain(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help="What to train again. With --due also: all."),
    ] = None,
    only_due: Annotated[
        bool, typer.Option("--due", help="Only what is due, as its table [NAME.retrain] says.")
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
        typer.Option("--deploy", help="Deploy what passes its gates, reviewed by --answers."),
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
    not be looked at, trained or deployed; 3 if a run did not pass its gates.
    """
    if timer is not None:
        _write_units(timer, repository, settings, out)
        return
    if name is None and not only_due:
        raise UsageError("name what to train again, or give --due for all that is due")
    if name is None and data is not None:
        raise UsageError("--data is the table of one name; name it too")
    if deploy is not (answers is not None):
        raise UsageError("--deploy and --answers belong together; give both, or none")
    who, rules = person(by), settings_at(settings)
    plans = _plans(rules, name)
    checklist = None
    if answers is not None:
        checklist = _permitted(rules, who, plans, answers)
    opened = Repository.open(repository)
    monitored = Monitored(repository, prometheus)
    settled = _Settled(opened, rules, who, out, data, monitored, checklist, tritonserver)
    if only_due or dry_run:
        raise typer.Exit(_all_due(settled, plans, dry_run=dry_run))
    raise typer.Exit(_retrain(settled, plans[0], _work(settled, plans[0]), _ASKED))


def _plans(settings: Settings, name: str | None) -> Sequence[Plan]:
    if name is not None:
        return [settings.plan(name, tuple(PUBLIC))]
    plans = [plan for plan in settings.plans.values() if plan.retrain is not None]
    if not plans:
        where = settings.path or SETTINGS_FILE
        raise TrimaranError(f"no name has a table [NAME.retrain] in {where}; add one")
    return plans


def _all_due(settled: _Settled, plans: Sequence[Plan], *, dry_run: bool) -> int:
    """Look at every name, then train those that are due; the exit status."""
    looked: list[tuple[str, Due | TrimaranError]] = []
    works: dict[str, Planned] = {}
    for plan in plans:
        try:
            works[plan.name] = _work(settled, plan)
            looked.append((plan.name, _look(settled, plan, works[plan.name], note=not dry_run)))
        except TrimaranError as error:
            looked.append((plan.name, error))
    statuses = [_show(looked)]
    for plan, (name, found) in zip(plans, looked, strict=True):
        if dry_run or isinstance(found, TrimaranError) or not found.is_due:
            continue
        try:
            statuses.append(_retrain(settled, plan, works[name], found.why))
        except TrimaranError as error:
            said = f"error: {name}: {error}"
            console(stderr=True).print(said, markup=False, highlight=False, soft_wrap=True)
            statuses.append(TrimaranError.exit_status)
    return min(filter(None, statuses), default=0)  # an error before a gate


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


def _retrain(settled: _Settled, plan: Plan, work: Planned, why: str) -> int:
    """Train a name, and deploy it where that is asked for; the exit status."""
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
    if done.live:
        return 0
    _say(f"{done.id}: {done.says}")
    if done.failed:
        _say(f"{done.id} is pending, and did not pass: {', '.join(done.failed)}")
        return _NOT_GOOD_ENOUGH
    if settled.checklist is None:
        _say(f"{done.id} is pending; next: trimaran review {done.id}")
    else:
        _deploy(settled, done.id, settled.checklist)
    return 0


def _exported(run: TrainedRun, folder: Path) -> Path:
    from exporters.api import export

    place = os.path.relpath(run.directory)
    place = place if os.sep in place else f".{os.sep}{place}"
    scratch = Repository.create(folder / "model_repository")
    (result,) = export(place, "onnx", scratch)
    return scratch.model(result.model) / "1" / "model.onnx"


def _permitted(settings: Settings, by: str, plans: Sequence[Plan], answers: Path) -> Answers:
    """The answers of a file, once it is sure that they suffice for a deployment by `by`."""
    for role in ("review", "deploy"):
        settings.require_role(role, by)
    for plan in plans:
        if plan.approvals > 1:
            raise UsageError(
                f"{plan.name} needs {plan.approvals} people behind a run, which --deploy cannot "
                "ask; leave it out"
            )
    found = read_answers(answers)
    against = refused_items({key: {"answer": each.answer} for key, each in found.items()})
    if against:
        raise UsageError(f"{answers} says no to {', '.join(against)}; nothing was trained")
    return found


def _deploy(settled: _Settled, run: str, checklist: Answers) -> None:
    from ensembles.deploy_run import made_of_run
    from trimaran.rollout.runs.decisions import review
    from trimaran.rollout.runs.deploying import deploy_run

    review(settled.repository, settled.settings, run, settled.by, checklist)
    deploy_run(
        settled.repository,
        settled.settings,
        run,
        settled.by,
        made_of_run,
        tritonserver=settled.tritonserver,
        say=_say,
    )
    _say(f"{run} is deployed")


def _write_units(folder: Path, repository: Path, settings: Path | None, out: Path) -> None:
    command = [sys.executable, "-m", "trimaran", "retrain", "--due"]
    command += [f"--repository={repository.resolve()}", f"--out={out.resolve()}"]
    command += [f"--settings={settings.resolve()}"] if settings is not None else []
    texts: Mapping[str, str] = units(command, Path.cwd(), getpass.getuser())
    for name, text in texts.items():
        write_text(folder / name, text)
        print(f"wrote {folder / name}")
    print(f"next, as root: cp {folder}/trimaran-retrain.* /etc/systemd/system/ && ", end="")
    print(f"systemctl enable --now {TIMER}")


def _say(sentence: str) -> None:
    console().print(sentence, markup=False, highlight=False, soft_wrap=True)
