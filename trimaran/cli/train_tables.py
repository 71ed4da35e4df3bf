"""`trimaran train TABLE --target COLUMN`: a model of records, from a table to a report."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from rich.table import Table

from trimaran.cli.train_families import TABLES
from trimaran.system.console import console
from trimaran.system.errors import UsageError
from trimaran.system.files import write_text

if TYPE_CHECKING:  # torch and pandas take seconds to import, and wrong usage is refused at once
    from trimaran.training.tabular.learning.learn import Problem
    from trimaran.training.tabular.runs.config import Recipe
    from trimaran.training.tabular.runs.cross_validation import Scored, Spread
    from trimaran.training.tabular.runs.trained import TrainedRun

__all__ = [
    "EXAMPLES",
    "name_of",
    "problem_of",
    "run_table",
    "seeds_table",
    "spread_table",
    "train_table",
]

EXAMPLES = {"churn": "mlc_churn"}
"""Public tables by a name that is easier to remember, and for the models."""

_READING = ("target", "task", "positive", "query", "sheet", "time")
_COSTS = ("cost_missed", "cost_alarm")
_SEARCHED = ("mlp", "tabnet")


def train_table(table: str, options: Mapping[str, Any]) -> TrainedRun | None:
    """Train with a progress bar, and print the scores; the run of the first seed.

    `options` are those of the command. None where they cross-validate.
    """
    model = options["model"] or TABLES.models[0]
    trials, folds, seed, seeds = (options[each] for each in ("trials", "folds", "seed", "seeds"))
    out, track = options["out"], options["track"]
    _check(model, trials, seeds, folds, track)

    from trimaran.training.tabular.runs.tracking import require_mlflow

    if track:
        require_mlflow()
    problem, recipe = problem_of(table, options, lambda said: print(said, file=sys.stderr))
    if folds:
        _cross_validate(problem, recipe, folds, seed, out)
        return None
    numbers = list(range(seed, seed + seeds))
    runs = _train(problem, recipe, numbers, out, trials, options["objective"], track)
    screen = console()
    screen.print(run_table(runs[0]) if seeds == 1 else seeds_table(runs))
    for line in _summary(runs):
        screen.print(line, markup=False, highlight=False, soft_wrap=True)
    if seeds > 1:
        _compare_seeds(recipe, numbers, runs, out)
    return runs[0]


def problem_of(
    table: str, options: Mapping[str, Any], say: Callable[[str], None] = lambda said: None
) -> tuple[Problem, Recipe]:
    """The table and the recipe by the options of the command; `say` gets notes and warnings.

    Raises `TrimaranError` for a table that cannot be trained on.
    """
    called = name_of(table, options["name"])

    from trimaran.training.tabular.data.sources import load
    from trimaran.training.tabular.evaluation.costs import check_cost

    costs = {name: options[name] for name in _COSTS if options[name] is not None}
    for name, cost in costs.items():
        check_cost(name, cost)
    how = {name: options[name] for name in _READING}
    dataset = load(EXAMPLES.get(table, table), options["schema"], **how).with_costs(costs)

    from trimaran.training.recipes import recipe
    from trimaran.training.tabular.learning.learn import Problem

    for note in dataset.notes:
        say(f"note: {note}")
    problem = Problem.of(dataset)
    for warning in problem.notes[len(dataset.notes) :]:
        say(f"warning: {warning}")
    model = options["model"] or TABLES.models[0]
    return problem, recipe(called, dataset.schema, model, options["imbalance"].value)


def name_of(table: str, given: str | None = None) -> str:
    """What models of a table are called: `shop/2026 customers.csv` gives `_2026_customers`."""
    from trimaran.repository.repository import check_model_name

    place = urlsplit(table).path if "://" in table else table
    stem = re.sub(r"\W+", "_", Path(place).stem, flags=re.ASCII)
    return check_model_name(given or (f"_{stem}" if stem[:1].isdigit() else stem))


def run_table(run: TrainedRun) -> Table:
    """One row per metric on the test part, one column per model."""
    from trimaran.training.tabular.runs.cross_validation import of_run

    scored = of_run(run)
    task = run.task()
    rows = {name: [f"{scores[name]:g}" for scores in scored.values()] for name in task.chosen}
    for metric, name in task.metrics.items():
        rows[name] = [f"{scores[metric]:.4f}" for scores in scored.values()]
    return _table(f"Test part of seed {run.metrics()['seed']}", "metric", scored, rows)


def seeds_table(runs: Sequence[TrainedRun]) -> Table:
    """One row per seed, one column per model: the main metric on the test part."""
    from trimaran.training.tabular.runs.cross_validation import of_run

    task = runs[0].task()
    rows = {
        f"seed {run.metrics()['seed']}": [f"{each[task.main]:.4f}" for each in of_run(run).values()]
        for run in runs
    }
    return _table(f"{task.title} on the test part", "seed", of_run(runs[0]), rows)


def spread_table(
    title: str, spreads: Mapping[str, Mapping[str, Spread]], names: Mapping[str, str]
) -> Table:
    """One row per metric of `names`, one column per model: mean and standard deviation."""
    rows = {
        name: [f"{each[metric].mean:.4f} ± {each[metric].sd:.4f}" for each in spreads.values()]
        for metric, name in names.items()
    }
    return _table(title, "metric", spreads, rows)


def _cross_validate(problem: Problem, recipe: Recipe, folds: int, seed: int, out: Path) -> None:
    from trimaran.training.tabular.runs import progress

    model = recipe.hyper.network
    scored = progress.cross_validate(problem, recipe, folds, seed, out)
    title = f"{model}: {folds} folds of the training and validation parts"
    about = {"model": model, "seed": seed, "folds": folds}
    _write_spread(
        out / recipe.family / f"folds-{model}.json", title, about, scored, problem.task.metrics
    )


def _train(
    problem: Problem,
    recipe: Recipe,
    seeds: Iterable[int],
    out: Path,
    trials: int,
    objective: str | None,
    track: bool,
) -> list[TrainedRun]:
    """A run of each seed, the first of which becomes the one that is exported."""
    from trimaran.training.tabular.runs import progress
    from trimaran.training.tabular.runs.trained import name_latest

    runs = []
    for seed in seeds:
        run = progress.train(problem, recipe, seed, out, trials, objective)
        runs.append(run)
        if track:
            progress.track(run, out)
    name_latest(runs[0])
    return runs


def _compare_seeds(
    recipe: Recipe, seeds: Sequence[int], runs: Sequence[TrainedRun], out: Path
) -> None:
    from trimaran.training.tabular.runs.cross_validation import of_run

    model = recipe.hyper.network
    title = f"{model}: test part, mean and standard deviation over {len(seeds)} seeds"
    names = [run.directory.name for run in runs]
    about = {"model": model, "seeds": list(seeds), "runs": names}
    scored = [of_run(run) for run in runs]
    _write_spread(
        out / recipe.family / f"seeds-{model}.json", title, about, scored, runs[0].task().metrics
    )


def _table(
    title: str, corner: str, models: Iterable[str], rows: Mapping[str, Sequence[str]]
) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column(corner)
    for model in models:
        table.add_column(model, justify="right")
    for name, cells in rows.items():
        table.add_row(name, *cells)
    return table


def _check(model: str, trials: int, seeds: int, folds: int, track: bool) -> None:
    if trials < 0:
        raise UsageError(f"--trials is {trials}; it must be 0 or more")
    if trials and model not in _SEARCHED:
        raise UsageError(f"--trials is for the models {' and '.join(_SEARCHED)}; leave it out")
    if seeds < 1:
        raise UsageError(f"--seeds is {seeds}; it must be 1 or more")
    if folds and folds < 2:
        raise UsageError(f"--folds is {folds}; it must be 2 or more, or 0 for none")
    for name, given in (("--trials", trials), ("--seeds", seeds > 1), ("--track", track)):
        if folds and given:
            raise UsageError(f"--folds keeps no model; leave out {name}")


def _write_spread(
    path: Path,
    title: str,
    about: Mapping[str, object],
    scored: Sequence[Scored],
    metrics: Mapping[str, str],
) -> None:
    from trimaran.training.tabular.runs.cross_validation import as_document, by_model

    write_text(
        path, json.dumps(as_document(about, scored, metrics), indent=1, allow_nan=False) + "\n"
    )
    screen = console()
    screen.print(spread_table(title, by_model(scored, metrics), metrics))
    screen.print(f"wrote {path}", markup=False, highlight=False, soft_wrap=True)


def _summary(runs: Sequence[TrainedRun]) -> list[str]:
    first, goals = runs[0].metrics(), [run.metrics()["goal_reached"] for run in runs]
    task = runs[0].task()
    lines = [f"seed {first['seed']}: {task.summary(first)}"]
    if first["goal"] is not None:
        lines.append(
            f"the goal, {task.title} of {first['goal']:g}, is reached on {sum(goals)} of "
            f"{len(goals)} seed{'s' if len(goals) > 1 else ''}"
        )
    if first["caveat"] is not None:
        lines.append(f"note: {first['caveat']}")
    split = runs[0].split_by_time()
    if split:
        parts = ("train", "validation", "test")
        ends = ", ".join(f"{part} until {split[part]['to']}" for part in parts)
        apart = f", {split['gap_days']:g} days apart" if "gap_days" in split else ""
        lines.append(f"split by time, the dates of {split['column']!r}{apart}: {ends}")
    return [
        *lines,
        f"report: {runs[0].directory / 'report.html'}",
    ]
