"""`trimaran train`: from a table, texts, photographs or choices to a trained run and its report."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trimaran.cli.options import (
    PositiveValue,
    Query,
    SchemaPath,
    Sheet,
    TargetColumn,
    TaskName,
)
from trimaran.cli.train_families import IMAGES, MODELS, TABLES, TEXTS, family_of
from trimaran.cli.train_images import train_images
from trimaran.cli.train_recommender import train_recommender
from trimaran.cli.train_shown import say
from trimaran.cli.train_tables import name_of, train_table
from trimaran.cli.train_texts import train_texts
from trimaran.system.errors import UsageError

if TYPE_CHECKING:  # numpy, which wrong usage does not wait for
    from trimaran.training.run_directory import RunDirectory

__all__ = ["train", "train_as"]

_GIVEN = ("COMMANDLINE", "ENVIRONMENT")
"""Where a parameter comes from that somebody gave: not a default, nor the project's file."""
_MOST_SEED = 2**32 - 1

Model = StrEnum("Model", {name: name for name in MODELS})  # type: ignore[misc]


class Imbalance(StrEnum):
    """How the rarer outcome is balanced."""

    none = "none"
    weights = "weights"
    resample = "resample"
    smote = "smote"


def train(
    context: typer.Context,
    table: Annotated[
        str,
        typer.Argument(
            metavar="TABLE",
            help="A file (.csv, .parquet, .xlsx, .sqlite, .duckdb), postgresql://HOST/DATABASE, "
            "a folder with a sub-folder of photographs for each class, or a public table: churn, "
            "mlc_churn, wa_churn, card_fraud, food_reviews or movielens.",
        ),
    ],
    target: TargetColumn = None,
    task: TaskName = None,
    positive: PositiveValue = None,
    name: Annotated[
        str | None, typer.Option(help="What to call the models. Default: the table's name.")
    ] = None,
    text: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="The column of texts, of which to learn classes."),
    ] = None,
    user: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="The column of users, to recommend items to."),
    ] = None,
    item: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="The column of items, of which to recommend some."),
    ] = None,
    rating: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN", help="How users rate items. Default: an item of a row is liked."
        ),
    ] = None,
    time: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="The column of dates by which to split: train on the oldest rows, test on the "
            "newest. Of recommenders also numbers.",
        ),
    ] = None,
    liked: Annotated[
        float | None,
        typer.Option(help="The rating from which an item is liked. Default: the median."),
    ] = None,
    top: Annotated[
        int | None, typer.Option(help="Number of items to recommend, 1 to 100. Default: 10.")
    ] = None,
    model: Annotated[
        Model | None,
        typer.Option(
            help="A network (mlp, tabnet) or a simpler model; of texts encoder or tfidf; to "
            "recommend ease or towers. Default: mlp, encoder, ease."
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            help="Epochs of fine-tuning, for texts, or the most of them, for photographs; 0 fits "
            "only the head."
        ),
    ] = None,
    trials: Annotated[
        int, typer.Option(help="Number of trials of the hyperparameter search; 0 for no search.")
    ] = 0,
    objective: Annotated[
        str | None,
        typer.Option(
            help="Metric that --trials optimises on the validation part, such as log_loss, f1, "
            "macro_f1 or mae. Default: the loss."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Random seed, also of the split.")] = 0,
    seeds: Annotated[
        int, typer.Option(help="Number of seeds to train with, counting up from --seed.")
    ] = 1,
    folds: Annotated[
        int, typer.Option(help="Cross-validate with this many folds instead; 0 for none.")
    ] = 0,
    cost_missed: Annotated[
        float | None,
        typer.Option(help="What a positive row costs that is missed; the threshold minimises it."),
    ] = None,
    cost_alarm: Annotated[
        float | None,
        typer.Option(help="What a false alarm costs: a negative row that is decided positive."),
    ] = None,
    imbalance: Annotated[
        Imbalance,
        typer.Option(
            help="How to balance rarer outcomes: weigh them more, draw them more often (resample), "
            "or make up more of them (smote)."
        ),
    ] = Imbalance.none,
    query: Query = None,
    sheet: Sheet = None,
    schema: SchemaPath = None,
    out: Annotated[Path, typer.Option(help="Folder of the runs.")] = Path("runs"),
    track: Annotated[bool, typer.Option("--track", help="Log runs to MLflow, in --out.")] = False,
) -> None:
    """Train a model, evaluate it on held-out rows, and write a report.

    The same command resumes an interrupted training, and reuses finished runs and folds.
    """
    run = train_as(context)
    if run is not None:
        latest = run.directory.parent / "latest"
        say([f"next: trimaran export {latest} --format onnx, and trimaran publish {latest}"])


def train_as(context: typer.Context) -> RunDirectory | None:
    """What the command does with the options of `context`; the run, of several the first.

    None where it was cross-validated, which keeps no model.
    """
    options = dict(context.params)
    table, model, out = options["table"], options["model"], options["out"]
    name, seed, seeds = options["name"], options["seed"], options["seeds"]
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out {out} is a file; name a directory, such as runs")
    if not 0 <= seed <= _MOST_SEED - seeds:
        raise UsageError(f"--seed is {seed}; it must be between 0 and {_MOST_SEED - seeds}")
    sources = {name: context.get_parameter_source(name) for name in options}
    given = [name for name, source in sources.items() if source and source.name in _GIVEN]
    family = family_of(table, given, model)
    taken = {name: options[name] for name in ("name", "seed", "out", *family.options)}
    if family == IMAGES:
        called = name_of(str(Path(table).resolve()), name)
        return train_images(table, {**taken, "name": called})
    if family == TEXTS:
        return train_texts(table, {**taken, "model": model or family.models[0]})
    if family == TABLES:
        return train_table(table, taken)
    return train_recommender(table, {**taken, "model": model or family.models[0]})
