"""`trimaran run`: train what `rollout.toml` says, or predict with the persisted run, for review."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trimaran.cli.options import (
    DEFAULT_REPOSITORY,
    Person,
    RepositoryPath,
    SettingsPath,
)
from trimaran.cli.planned import PUBLIC, Planned, planned
from trimaran.repository.repository import Repository, made_at
from trimaran.rollout.runs.people import person
from trimaran.rollout.runs.settings import find_settings
from trimaran.system.console import console
from trimaran.system.errors import TrimaranError
from trimaran.system.files import write_text

if TYPE_CHECKING:  # pandas and torch take seconds to import, and wrong usage is refused at once
    from trimaran.rollout.runs.run import Run
    from trimaran.rollout.runs.training import Begun
    from trimaran.training.tabular.data.sources import Dataset

__all__ = ["run"]


def run(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="A table of rollout.toml, or a public table.")
    ],
    data: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Other data than rollout.toml names, in the same form."),
    ] = None,
    anew: Annotated[
        bool, typer.Option("--train", help="Train, although the live run is persisted.")
    ] = False,
    by: Person = None,
    out: Annotated[Path, typer.Option(help="Folder of the runs.")] = Path("runs"),
    repository: RepositoryPath = DEFAULT_REPOSITORY,
    settings: SettingsPath = None,
) -> None:
    """Train a model, or predict with the persisted one, and leave it pending with its reports.

    The same command resumes an interrupted run.
    """
    who = person(by)
    plan = find_settings(Path.cwd(), settings).plan(name, PUBLIC)
    work = planned(plan, data, out)

    from trimaran.rollout.runs.training import begin, one_at_a_time, persisted_run

    opened = made_at(repository)
    with one_at_a_time(opened, name):
        frozen = None if anew else persisted_run(opened, name)
        table = _loaded(opened, work, frozen)
        begun = begin(opened, plan, work.place, who, frozen)
        with_whom = frozen and (frozen.predicts_with or frozen.id)
        what = f"{with_whom} predicts" if with_whom else "trains"
        _say(f"{begun.id} {'is resumed' if begun.resumed else 'begins'}: {what}")
        if frozen is not None and table is not None:
            _predict(opened, begun, frozen, table, out, who)
        else:
            _train(opened, begun, table, work, out, who)
    _say(f"{begun.id} is pending; next: trimaran review {begun.id}")


def _loaded(repository: Repository, work: Planned, frozen: Run | None) -> Dataset | None:
    """The table of records that is trained on or predicted; None for other families.

    So a table that cannot be used is refused before its run begins.
    """
    if not work.of_tables:
        if frozen is not None:
            raise TrimaranError(
                f"{frozen.id} is persisted, and a run of {work.family.of} does not predict; train "
                f"with 'trimaran run {frozen.name} --train'"
            )
        return None
    if frozen is None:
        return work.table()
    from trimaran.rollout.runs.training import estimator_of

    return work.table_of(estimator_of(repository, frozen))


def _train(
    repository: Repository,
    begun: Begun,
    table: Dataset | None,
    work: Planned,
    out: Path,
    by: str,
) -> None:
    from trimaran.rollout.runs.data_page import page_of_figures, page_of_table
    from trimaran.rollout.runs.figures import figures_of
    from trimaran.rollout.runs.training import finish, folder_of

    page = folder_of(out, begun.id) / "data.html"
    if table is not None:
        write_text(page, page_of_table(table))
    trained = work.train()
    figures = figures_of(trained.directory)
    if table is None:
        write_text(page, page_of_figures(begun.id, figures))
    reports = {"data": page, "results": trained.directory / "report.html"}
    finish(repository, begun, by, figures, trained.directory, reports)


def _predict(
    repository: Repository, begun: Begun, frozen: Run, table: Dataset, out: Path, by: str
) -> None:
    from trimaran.rollout.runs.data_page import page_of_table
    from trimaran.rollout.runs.figures import figures_of
    from trimaran.rollout.runs.predicting import predict
    from trimaran.rollout.runs.training import estimator_of, finish, folder_of
    from trimaran.training.tabular.runs.frozen import scored_table

    estimator, folder = estimator_of(repository, frozen), folder_of(out, begun.id)
    write_text(folder / "data.html", page_of_table(table))
    predict(estimator, scored_table(estimator, table), folder)
    reports = {"data": folder / "data.html", "results": folder / "report.html"}
    figures = figures_of(folder)
    for note in figures.notes:
        _say(f"note: {note}")
    finish(repository, begun, by, figures, folder, reports)


def _say(sentence: str) -> None:
    console().print(sentence, markup=False, highlight=False, soft_wrap=True)
