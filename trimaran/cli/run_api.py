"""What `import trimaran` offers to make runs: a training by the options of `trimaran train`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from trimaran.cli.train import train, train_as
from trimaran.cli.train_families import FAMILIES, TABLES, Family, family_of
from trimaran.cli.train_tables import EXAMPLES
from trimaran.repository.repository import DEFAULT_PLACE, Place, made_at
from trimaran.rollout.runs.people import person
from trimaran.rollout.runs.settings import Plan, Settings, settings_at
from trimaran.system.errors import TrimaranError, UsageError
from trimaran.system.files import write_text
from trimaran.system.toml_text import nearest

if TYPE_CHECKING:  # pandas and torch take seconds to import, and wrong usage is refused at once
    from trimaran.rollout.runs.run import Run
    from trimaran.training.progress import Watch
    from trimaran.training.tabular.data.sources import Dataset

__all__ = ["run"]

_PUBLIC = {name: family for family in FAMILIES for name in family.public}
_OWN = ("name", "out", "folds", "seeds", "table")
"""Options of `trimaran train` that a run sets itself, or that keep no single model."""
_READING = ("target", "task", "positive", "query", "sheet", "time")


def run(
    name: str,
    *,
    data: str | Path | None = None,
    train: bool = False,
    by: str | None = None,
    out: Path = Path("runs"),
    repository: Place = DEFAULT_PLACE,
    settings: Settings | Path | None = None,
    say: Callable[[str], None] = lambda sentence: None,
    watching: Callable[[], AbstractContextManager[Watch]] = lambda: nullcontext(_silent),
) -> Run:
    """Train what `rollout.toml` says of `name`, or predict with its persisted run; a pending run.

    `data` are other data than the file names. With `train` it trains, although a persisted run is
    live. `by` is the person, by default `TRIMARAN_USER` or the system's user. `settings` are a
    `rollout.toml`, by default that of the working directory. `say` is called with what happens, in
    words. The same call resumes an interrupted run. Raises `TrimaranError`.
    """
    who = person(by)
    plan = settings_at(settings).plan(name, tuple(_PUBLIC))
    place = None if data is None else str(data)
    options = _options(plan)

    from trimaran.rollout.runs.running import Prepared, run_predicting, run_training
    from trimaran.rollout.runs.training import persisted_run
    from trimaran.training.tabular.data.reading import Source

    opened = made_at(repository)
    persisted = None if train else persisted_run(opened, name)
    if persisted is None:
        context = _training(plan, options, place, out)
        source = Source(context.params["table"])
        return run_training(Prepared(opened, plan, source, who, out, say), _Training(context))
    table = place or plan.table
    source = Source(EXAMPLES.get(table, table), options.get("query"), options.get("sheet"))
    with watching() as watch:
        return run_predicting(Prepared(opened, plan, source, who, out, say, watch), persisted)


@dataclass(frozen=True)
class _Training:
    """A training by the options of `trimaran train`."""

    context: typer.Context

    def table(self) -> Dataset | None:
        options = self.context.params
        if _family(self.context) is not TABLES:
            return None
        from trimaran.training.tabular.data.sources import load

        table = options["table"]
        how = {each: options[each] for each in _READING}
        return load(EXAMPLES.get(table, table), options["schema"], **how)

    def train(self) -> Path:
        trained = train_as(self.context)
        if trained is None:  # a cross-validation, which no option of a run asks for
            raise UsageError("a run keeps its model; leave folds out")
        return trained.directory


def _options(plan: Plan) -> dict[str, Any]:
    """The options of a plan, by the names of `trimaran train`. Raises `UsageError`."""
    known = [name for name, each in _parameters().items() if each.name not in _OWN]
    where = _where(plan)
    found: dict[str, Any] = {}
    for key, value in plan.train.items():
        option = key.replace("_", "-")
        if option not in known:
            raise UsageError(f"{where}there is no key {key!r}; {nearest(option, known)}")
        if not isinstance(value, bool | str | int | float):
            raise UsageError(f"{where}{option} is {value!r}; expected a text, a number or true")
        found[option] = value
    return found


def _training(plan: Plan, options: Mapping[str, Any], data: str | None, out: Path) -> typer.Context:
    """The options of `trimaran train` for a run. Raises `UsageError` that says what is wrong."""
    given = dict(options)
    if data is not None:
        given = {**_form(plan, out), **given}
    arguments = [data or plan.table, f"--name={plan.name}", f"--out={out}"]
    for option, value in given.items():
        if isinstance(value, bool):
            arguments += [f"--{option}"] if value else []
        else:
            arguments.append(f"--{option}={value}")
    try:
        context = _command().make_context("train", arguments)
    except typer.BadParameter as error:
        raise UsageError(f"{_where(plan)}{error.format_message()}") from None
    _family(context)  # refuses an option that is another family's
    return context


def _form(plan: Plan, out: Path) -> dict[str, Any]:
    """The options by which other data are read as the plan's own are."""
    if "schema" in plan.train:
        return {}
    public = _PUBLIC.get(plan.table)
    if public is TABLES:
        name = EXAMPLES.get(plan.table, plan.table)
        packaged = files("trimaran.training.tabular.data").joinpath("schemas", f"{name}.toml")
        copy = out / plan.name / f"{plan.name}.toml"
        write_text(copy, packaged.read_text(encoding="utf-8"))
        return {"schema": copy}
    if public is not None:
        return dict(public.public[plan.table])
    given = [key.replace("-", "_") for key in plan.train]
    if family_of(plan.table, given, plan.train.get("model")) is not TABLES:
        return {}
    beside = Path(plan.table).with_suffix(".toml")
    if "://" in plan.table:
        return {}
    if beside.is_file():
        return {"schema": beside}
    raise TrimaranError(
        f"{plan.table} has no schema {beside} yet, by which --data is read; run "
        f"'trimaran run {plan.name}' without --data first, which writes it"
    )


def _command() -> Any:
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command("train")(train)
    return typer.main.get_command(app)


def _parameters() -> dict[str, Any]:
    """The options of `trimaran train` by their names, without dashes."""
    return {each.opts[0].lstrip("-"): each for each in _command().params}


def _family(context: typer.Context) -> Family:
    sources = {each: context.get_parameter_source(each) for each in context.params}
    given = [each for each, source in sources.items() if source and source.name == "COMMANDLINE"]
    return family_of(context.params["table"], given, context.params["model"])


def _where(plan: Plan) -> str:
    return f"rollout.toml, [{plan.name}.train]: "


def _silent(what: str, done: int, total: int) -> None:
    """Show nothing."""
