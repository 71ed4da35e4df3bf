"""`trimaran retrain`: train again what is due, and compare it with what is live."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
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
from trimaran.cli.run_api import keep_explanations
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
    from monitoring.commands.retrained import Follower
    from trimaran.training.tabular.runs.trained import TrainedRun

__all__ = ["retrain"]

_ASKED = "it was asked for"


@dataclass(frozen=True)
class _Settled:
    """What holds for all names of one call."""

    repository: Repository
    settings: Settings
    by: str
    out: Path
    data: str | None
    monitored: Monitored
    answers: Path | None
    """Of --deploy."""
    tritonserver: Path | None


@dataclass(frozen=True)
class _Job:
    """What is to be done of one name, once all that it names is found to be right."""

    plan: Plan
    rules: RetrainPlan
    work: Planned
    follower: Follower


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

    The run then waits as pending, with the comparison and its gates; or goes on to a canary, as
    rollout.toml says. The same command resumes an interrupted one. Exit status: 0 if nothing
    failed, also if nothing was due; 1 if a name could not be looked at, trained, tried or deployed;
    3 if a run did not pass its gates, or its canary was not for it.
    """
    if deploy is not (answers is not None):
        raise UsageError("--deploy and --answers belong together; give both, or none")
    if timer is not None:
        _write_units(timer, repository, settings, out, answers, by)
        return
    if name is None and not only_due:
        raise UsageError("name what to train again, or give --due for all that is due")
    if name is None and data is not None:
        raise UsageError("--data is the table of one name; name it too")
    who, rules = person(by), settings_at(settings)
    plans = _plans(rules, name)
    if answers is not None:
        for plan in plans:
            _permitted(rules, who, plan, answers, "--deploy")
    opened = Repository.open(repository)
    monitored = Monitored(repository, prometheus)
    settled = _Settled(opened, rules, who, out, data, monitored, answers, tritonserver)
    if only_due or dry_run:
        raise typer.Exit(_all_due(settled, plans, dry_run=dry_run))
    job = _job(settled, plans[0])
    raise typer.Exit(job.follower.follow(_trained(settled, job, _ASKED)))


def _plans(settings: Settings, name: str | None) -> Sequence[Plan]:
    if name is not None:
        return [settings.plan(name, tuple(PUBLIC))]
    plans = [plan for plan in settings.plans.values() if plan.retrain is not None]
    if not plans:
        where = settings.path or SETTINGS_FILE
        raise TrimaranError(f"no name has a table [NAME.retrain] in {where}; add one")
    return plans


def _all_due(settled: _Settled, plans: Sequence[Plan], *, dry_run: bool) -> int:
    """Look at every name, train those that are due, and then go on with what they made."""
    looked: list[tuple[str, Due | TrimaranError]] = []
    jobs: list[tuple[_Job, Due]] = []
    for plan in plans:
        try:
            job = _job(settled, plan)
            found = _look(settled, job, note=not dry_run)
            looked.append((plan.name, found))
            jobs += [(job, found)] if found.is_due and not dry_run else []
        except TrimaranError as error:
            looked.append((plan.name, error))
    statuses = [_show(looked)]
    made: list[tuple[_Job, str]] = []
    for job, found in jobs:
        with _failing(job.plan.name, statuses):
            made.append((job, found.run or _trained(settled, job, found.why)))
    for job, run in made:
        with _failing(job.plan.name, statuses):
            statuses.append(job.follower.follow(run))
    return min(filter(None, statuses), default=0)  # an error before a gate


@contextmanager
def _failing(name: str, statuses: list[int]) -> Iterator[None]:
    """Say what fails about one name, and go on with the others."""
    try:
        yield
    except TrimaranError as error:
        said = f"error: {name}: {error}"
        console(stderr=True).print(said, markup=False, highlight=False, soft_wrap=True)
        statuses.append(TrimaranError.exit_status)


def _job(settled: _Settled, plan: Plan) -> _Job:
    """Raises `TrimaranError` for what would be wrong only after hours of training."""
    from monitoring.commands.retrained import Follower
    from trimaran.cli.planned_canary import planned_canary

    work = planned(plan, settled.data, settled.out)
    if not work.of_tables:
        raise TrimaranError(
            f"{plan.name} is trained on {work.family.of}, and only a run of a table of records can "
            f"be compared with the live one; use 'trimaran run {plan.name}'"
        )
    rules = plan.retrain or RetrainPlan()
    answers, what = settled.answers, "--deploy"
    if rules.canary is not None:
        planned_canary(settled.repository, plan.name, rules.canary, 0)
        if answers is None:
            answers, what = rules.canary.answers, f"answers in [{plan.name}.retrain.canary]"
    checklist = None
    if answers is not None:
        checklist = _permitted(settled.settings, settled.by, plan, answers, what)
    follower = Follower(
        settled.repository, settled.settings, rules, settled.by, checklist, settled.tritonserver
    )
    return _Job(plan, rules, work, follower)


def _look(settled: _Settled, job: _Job, *, note: bool) -> Due:
    from trimaran.rollout.retraining.looking import known_of, note_clock

    name = job.plan.name
    known = known_of(
        settled.repository,
        name,
        job.rules,
        job.work,
        settled.monitored,
        deploys=job.follower.checklist is not None,
    )
    found = due(job.rules, known)
    if known.since is None and known.live is not None and note:
        note_clock(settled.repository, name, settled.by)
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


def _trained(settled: _Settled, job: _Job, why: str) -> str:
    """Train a name, and compare it; the run, which is the live one where that is as good."""
    from trimaran.rollout.retraining.retrain import retrain as train_again
    from trimaran.training.progress import shown

    done = train_again(
        settled.repository,
        job.plan,
        job.rules,
        job.work,
        _exported,
        settled.by,
        why,
        settled.out,
        _say,
        partial(keep_explanations, settled.settings.results, _say, shown),
    )
    if not done.live:
        _say(f"{done.id}: {done.says}")
    return done.id


def _exported(run: TrainedRun, folder: Path) -> Path:
    from exporters.api import export

    place = os.path.relpath(run.directory)
    place = place if os.sep in place else f".{os.sep}{place}"
    scratch = Repository.create(folder / "model_repository")
    (result,) = export(place, "onnx", scratch)
    return scratch.model(result.model) / "1" / "model.onnx"


def _permitted(settings: Settings, by: str, plan: Plan, answers: Path, what: str) -> Answers:
    """The answers of a file, once it is sure that they suffice for a deployment by `by`.

    `what` asks for it.
    """
    for role in ("review", "deploy"):
        settings.require_role(role, by)
    if plan.approvals > 1:
        raise UsageError(
            f"{plan.name} needs {plan.approvals} people behind a run, which {what} cannot ask; "
            "leave it out"
        )
    found = read_answers(answers)
    against = refused_items({key: {"answer": each.answer} for key, each in found.items()})
    if against:
        raise UsageError(f"{answers} says no to {', '.join(against)}; nothing was trained")
    return found


def _write_units(
    folder: Path,
    repository: Path,
    settings: Path | None,
    out: Path,
    answers: Path | None,
    by: str | None,
) -> None:
    command = [sys.executable, "-m", "trimaran", "retrain", "--due"]
    command += [f"--repository={repository.resolve()}", f"--out={out.resolve()}"]
    command += [f"--settings={settings.resolve()}"] if settings is not None else []
    command += ["--deploy", f"--answers={answers.resolve()}"] if answers is not None else []
    command += [f"--by={by}"] if by is not None else []
    texts: Mapping[str, str] = units(command, Path.cwd(), getpass.getuser())
    for name, text in texts.items():
        write_text(folder / name, text)
        print(f"wrote {folder / name}")
    print(f"next, as root: cp {folder}/trimaran-retrain.* /etc/systemd/system/ && ", end="")
    print(f"systemctl enable --now {TIMER}")


def _say(sentence: str) -> None:
    console().print(sentence, markup=False, highlight=False, soft_wrap=True)
