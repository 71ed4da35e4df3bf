"""What a run trains, as `rollout.toml` says: the options of `trimaran train`, and the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from trimaran.cli.train import train, train_as
from trimaran.cli.train_families import FAMILIES, TABLES, Family, family_of
from trimaran.cli.train_tables import EXAMPLES, problem_of
from trimaran.cli.written_options import command_of, context_of, written_options
from trimaran.rollout.runs.settings import Plan
from trimaran.system.errors import TrimaranError, UsageError
from trimaran.system.files import write_text

if TYPE_CHECKING:  # pandas and torch take seconds to import, and wrong usage is refused at once
    from trimaran.training.run_directory import RunDirectory
    from trimaran.training.tabular.data.sources import Dataset
    from trimaran.training.tabular.runs.trained import TrainedRun

__all__ = ["PUBLIC", "Planned", "options_of", "planned"]

PUBLIC = {name: family for family in FAMILIES for name in family.public}
"""The family of each public table, of which a run needs no settings."""
_OWN = ("name", "out", "folds", "seeds", "table")
"""Options of `trimaran train` that a run sets itself, or that keep no single model."""
_READING = ("target", "task", "positive", "query", "sheet", "time")


@dataclass(frozen=True)
class Planned:
    """The options of `trimaran train` for a run, and the family that it trains."""

    context: typer.Context
    family: Family

    @property
    def options(self) -> Mapping[str, Any]:
        """By the names of the parameters."""
        return self.context.params

    @property
    def of_tables(self) -> bool:
        """Whether it trains on a table of records."""
        return self.family is TABLES

    @property
    def place(self) -> str:
        """What it trains on, for people."""
        from trimaran.system.postgresql import shown

        return shown(self.options["table"])

    def table(self) -> Dataset:
        """The table of records as it is trained on. Raises `TrimaranError`."""
        from trimaran.training.tabular.data.sources import load

        table = self.options["table"]
        how = {each: self.options[each] for each in _READING}
        return load(EXAMPLES.get(table, table), self.options["schema"], **how)

    def table_of(self, run: TrainedRun) -> Dataset:
        """The same table, as a run that is finished reads it. Raises `TrimaranError`."""
        from trimaran.training.tabular.data.reading import Source
        from trimaran.training.tabular.runs.frozen import frozen_table

        table = self.options["table"]
        if table in TABLES.public:
            return self.table()
        source = Source(table, self.options["query"], self.options["sheet"])
        return frozen_table(run, source, Path(table).parent)

    def train(self) -> RunDirectory:
        """Train, or find what is trained already. Raises `TrimaranError`."""
        trained = train_as(self.context)
        if trained is None:  # a cross-validation, which no option of a run asks for
            raise UsageError("a run keeps its model; leave folds out")
        return trained

    def folds(self, count: int) -> Sequence[float]:
        """The main metric of each fold of a cross-validation. Raises `TrimaranError`."""
        from trimaran.training.tabular.runs import progress

        problem, recipe = problem_of(self.options["table"], self.options)
        seed, out = self.options["seed"], self.options["out"]
        scored = progress.cross_validate(problem, recipe, count, seed, out)
        return [float(each[recipe.hyper.network][problem.task.main]) for each in scored]


def planned(plan: Plan, data: str | None, out: Path) -> Planned:
    """What a run trains, on `data` in place of its table if that is given.

    Raises `UsageError` that says what is wrong.
    """
    context = _training(plan, data, out)
    return Planned(context, _family(context))


def options_of(plan: Plan) -> dict[str, Any]:
    """The options of a plan, by the names of `trimaran train`. Raises `UsageError`."""
    return written_options(command_of(train, "train"), plan.train, _OWN, _where(plan))


def _training(plan: Plan, data: str | None, out: Path) -> typer.Context:
    given = options_of(plan)
    if data is not None and "schema" not in given:
        given = {**_form(plan, out), **given}
    if data is not None and "schema" in given and Path(data).is_dir():
        raise UsageError(
            f"--data {data} is a folder, and {plan.name} is trained on a table; name a file"
        )
    arguments = [data or plan.table, f"--name={plan.name}", f"--out={out}"]
    return context_of(command_of(train, "train"), arguments, given, _where(plan))


def _form(plan: Plan, out: Path) -> Mapping[str, Any]:
    """The options by which other data are read as the plan's own are. Raises `TrimaranError`."""
    public = PUBLIC.get(plan.table)
    if public is TABLES:
        name = EXAMPLES.get(plan.table, plan.table)
        packaged = files("trimaran.training.tabular.data").joinpath("schemas", f"{name}.toml")
        copy = out / plan.name / f"{plan.name}.toml"
        write_text(copy, packaged.read_text(encoding="utf-8"))
        return {"schema": copy}
    if public is not None:
        return public.public[plan.table]
    given = [key.replace("-", "_") for key in plan.train]
    of_tables = family_of(plan.table, given, plan.train.get("model")) is TABLES
    if not of_tables or "://" in plan.table:
        return {}
    beside = Path(plan.table).with_suffix(".toml")
    if beside.is_file():
        return {"schema": beside}
    raise TrimaranError(
        f"{plan.table} has no schema {beside} yet, by which --data is read; run "
        f"'trimaran run {plan.name}' without --data first, which writes it"
    )


def _family(context: typer.Context) -> Family:
    sources = {each: context.get_parameter_source(each) for each in context.params}
    given = [each for each, source in sources.items() if source and source.name == "COMMANDLINE"]
    return family_of(context.params["table"], given, context.params["model"])


def _where(plan: Plan) -> str:
    return f"rollout.toml, [{plan.name}.train]: "
