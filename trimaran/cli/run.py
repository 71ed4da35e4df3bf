"""`trimaran run`: train what `rollout.toml` says, or predict with the persisted run, for review."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trimaran.cli.options import (
    DEFAULT_REPOSITORY,
    Person,
    RepositoryPath,
    SettingsPath,
)
from trimaran.cli.train import train, train_as
from trimaran.cli.train_families import FAMILIES, TABLES, Family, family_of
from trimaran.cli.train_tables import EXAMPLES
from trimaran.repository.repository import Repository, made_at
from trimaran.rollout.results.explanations import EXPLANATIONS
from trimaran.rollout.runs.people import person
from trimaran.rollout.runs.settings import Plan, Results, find_settings
from trimaran.system.console import console
from trimaran.system.errors import TrimaranError, UsageError
from trimaran.system.files import write_text
from trimaran.system.postgresql import shown
from trimaran.system.toml_text import nearest

if TYPE_CHECKING:  # pandas and torch take seconds to import, and wrong usage is refused at once
    from trimaran.rollout.runs.run import Run
    from trimaran.rollout.runs.training import Begun
    from trimaran.training.tabular.data.sources import Dataset
    from trimaran.training.tabular.runs.trained import TrainedRun

__all__ = ["run"]

_PUBLIC = tuple(name for family in FAMILIES for name in family.public)
_OWN = ("name", "out", "folds", "seeds", "table")
"""Options of `trimaran train` that a run sets itself, or that keep no single model."""
_READING = ("target", "task", "positive", "query", "sheet", "time")


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
    found = find_settings(Path.cwd(), settings)
    plan = found.plan(name, _PUBLIC)
    context = _training(plan, data, out)
    family = _family(context)

    from trimaran.rollout.runs.training import begin, one_at_a_time, persisted_run

    opened = made_at(repository)
    with one_at_a_time(opened, name):
        frozen = None if anew else persisted_run(opened, name)
        table = _loaded(opened, family, context.params, frozen)
        begun = begin(opened, plan, shown(context.params["table"]), who, frozen)
        with_whom = frozen and (frozen.predicts_with or frozen.id)
        what = f"{with_whom} predicts" if with_whom else "trains"
        _say(f"{begun.id} {'is resumed' if begun.resumed else 'begins'}: {what}")
        if frozen is not None and table is not None:
            _predict(opened, begun, frozen, table, out, who, found.results)
        else:
            _train(opened, begun, table, context, out, who, found.results)
    _say(f"{begun.id} is pending; next: trimaran review {begun.id}")


def _training(plan: Plan, data: str | None, out: Path) -> typer.Context:
    """The options of `trimaran train` for a run. Raises `UsageError` that says what is wrong."""
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command("train")(train)
    command = typer.main.get_command(app)
    options = {each.opts[0].lstrip("-"): each for each in command.params if each.name != "table"}
    known = [key for key in options if key.replace("-", "_") not in _OWN]
    where = f"rollout.toml, [{plan.name}.train]: "
    given: dict[str, Any] = {}
    for key, value in plan.train.items():
        option = key.replace("_", "-")
        if option not in known:
            raise UsageError(f"{where}there is no key {key!r}; {nearest(option, known)}")
        given[option] = value
    if data is not None and "schema" not in given:
        schema = _schema_for(plan, out)
        given.update({"schema": schema} if schema else {})
    arguments = [data or plan.table, f"--name={plan.name}", f"--out={out}"]
    for option, value in given.items():
        if isinstance(value, bool):
            arguments += [f"--{option}"] if value else []
        elif isinstance(value, str | int | float | Path):
            arguments.append(f"--{option}={value}")
        else:
            raise UsageError(f"{where}{option} is {value!r}; expected a text, a number or true")
    try:
        return command.make_context("train", arguments)  # type: ignore[return-value]
    except typer.BadParameter as error:
        raise UsageError(f"{where}{error.format_message()}") from None


def _schema_for(plan: Plan, out: Path) -> Path | None:
    """The schema by which other data of a table are read; None where it is no table of records."""
    if plan.table in TABLES.public:
        name = EXAMPLES.get(plan.table, plan.table)
        packaged = files("trimaran.training.tabular.data").joinpath("schemas", f"{name}.toml")
        copy = out / plan.name / f"{plan.name}.toml"
        write_text(copy, packaged.read_text(encoding="utf-8"))
        return copy
    if _family_of(plan.table, plan.train) is not TABLES:
        return None
    beside = Path(plan.table).with_suffix(".toml")
    if "://" in plan.table or beside.is_file():
        return None if "://" in plan.table else beside
    raise TrimaranError(
        f"{plan.table} has no schema {beside} yet, by which --data is read; run "
        f"'trimaran run {plan.name}' without --data first, which writes it"
    )


def _family(context: typer.Context) -> Family:
    sources = {each: context.get_parameter_source(each) for each in context.params}
    given = [each for each, source in sources.items() if source and source.name == "COMMANDLINE"]
    return family_of(context.params["table"], given, context.params["model"])


def _family_of(table: str, options: Mapping[str, Any]) -> Family:
    given = [key.replace("-", "_") for key in options]
    return family_of(table, given, options.get("model"))


def _loaded(
    repository: Repository, family: Family, options: Mapping[str, Any], frozen: Run | None
) -> Dataset | None:
    """The table of records that is trained on or predicted; None for other families.

    So a table that cannot be used is refused before its run begins.
    """
    if family is not TABLES:
        if frozen is not None:
            raise TrimaranError(
                f"{frozen.id} is persisted, and a run of {family.of} does not predict; train with "
                f"'trimaran run {frozen.name} --train'"
            )
        return None
    table = options["table"]
    if frozen is None or table in TABLES.public:
        return _table(options)
    from trimaran.rollout.runs.training import estimator_of
    from trimaran.training.tabular.data.reading import Source
    from trimaran.training.tabular.runs.frozen import frozen_table

    source = Source(table, options["query"], options["sheet"])
    return frozen_table(estimator_of(repository, frozen), source, Path(table).parent)


def _train(
    repository: Repository,
    begun: Begun,
    table: Dataset | None,
    context: typer.Context,
    out: Path,
    by: str,
    results: Results,
) -> None:
    from trimaran.rollout.runs.data_page import page_of_figures, page_of_table
    from trimaran.rollout.runs.figures import figures_of
    from trimaran.rollout.runs.training import finish, folder_of
    from trimaran.training.tabular.runs.trained import TrainedRun

    page = folder_of(out, begun.id) / "data.html"
    if table is not None:
        write_text(page, page_of_table(table))
    trained = train_as(context)
    if trained is None:  # a cross-validation, which no option of a run asks for
        raise UsageError("a run keeps its model; leave folds out")
    figures = figures_of(trained.directory)
    if table is None:
        write_text(page, page_of_figures(begun.id, figures))
    else:
        _explain(TrainedRun(trained.directory), table, trained.directory, page.parent, results)
    reports = {"data": page, "results": trained.directory / "report.html"}
    finish(repository, begun, by, figures, trained.directory, reports)


def _predict(
    repository: Repository,
    begun: Begun,
    frozen: Run,
    table: Dataset,
    out: Path,
    by: str,
    results: Results,
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
    _explain(estimator, table, folder, folder, results)
    figures = figures_of(folder)
    for note in figures.notes:
        _say(f"note: {note}")
    finish(repository, begun, by, figures, folder, reports)


def _explain(
    run: TrainedRun, table: Dataset, predicted: Path, folder: Path, results: Results
) -> None:
    """Keep why the rows have their answers, for the deployment to write."""
    from trimaran.cli.row_progress import progress
    from trimaran.rollout.results.explaining import explanations_of

    with progress("explaining") as done:
        found = explanations_of(
            run,
            table.frame,
            predicted,
            rows=results.explained_rows,
            features=results.features,
            done=done,
        )
    if found is None:
        _say(f"note: {run.directory} was trained without a background, so no row is explained")
    else:
        write_text(folder / EXPLANATIONS, found)


def _table(options: Mapping[str, Any]) -> Dataset:
    from trimaran.training.tabular.data.sources import load

    table = options["table"]
    how = {each: options[each] for each in _READING}
    return load(EXAMPLES.get(table, table), options["schema"], **how)


def _say(sentence: str) -> None:
    console().print(sentence, markup=False, highlight=False, soft_wrap=True)
