"""What `import trimaran` offers to make runs."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from trimaran.cli.planned import PUBLIC, options_of, planned
from trimaran.cli.train_tables import EXAMPLES
from trimaran.repository.repository import DEFAULT_PLACE, Place, made_at
from trimaran.rollout.results.explanations import EXPLANATIONS
from trimaran.rollout.runs.people import person
from trimaran.rollout.runs.settings import Results, Settings, settings_at
from trimaran.system.files import write_text

if TYPE_CHECKING:  # pandas and torch take seconds to import, and wrong usage is refused at once
    from trimaran.rollout.runs.record import RunRecord
    from trimaran.training.progress import Watch
    from trimaran.training.tabular.data.sources import Dataset
    from trimaran.training.tabular.runs.trained import TrainedRun

__all__ = ["keep_explanations", "run"]


def run(
    name: str,
    *,
    data: str | Path | None = None,
    train: bool = False,
    by: str | None = None,
    out: Path = Path("runs"),
    repository: Place = DEFAULT_PLACE,
    settings: Settings | Path | None = None,
    progress: Callable[[str], None] = lambda sentence: None,
    watching: Callable[[], AbstractContextManager[Watch]] = lambda: nullcontext(_silent),
) -> RunRecord:
    """Train what `rollout.toml` says of `name`, or predict with its persisted run.

    The run waits as pending, with its reports. `data` are other data than the file names. With
    `train` it trains, although the live run is persisted. `by` is the person, by default
    `TRIMARAN_USER` or the system's user; `settings` are a `rollout.toml`, by default that of the
    working directory. `progress` is called with what happens, in words, and `watching` gives what
    is called with how far it is. The same call resumes an interrupted run. Raises `TrimaranError`.
    """
    who = person(by)
    found = settings_at(settings)
    plan = found.plan(name, tuple(PUBLIC))
    place = None if data is None else str(data)
    options = options_of(plan)

    from trimaran.rollout.runs.running import Prepared, run_predicting, run_training
    from trimaran.rollout.runs.training import persisted_run
    from trimaran.training.tabular.data.reading import Source

    opened = made_at(repository)
    explain = partial(keep_explanations, found.results, progress, watching)
    persisted = None if train else persisted_run(opened, name)
    if persisted is None:
        work = planned(plan, place, out)
        source = Source(work.options["table"])
        return run_training(
            Prepared(opened, plan, source, who, out, progress, explain=explain), work
        )
    table = place or plan.table
    source = Source(EXAMPLES.get(table, table), options.get("query"), options.get("sheet"))
    with watching() as watch:
        prepared = Prepared(opened, plan, source, who, out, progress, watch, explain)
        return run_predicting(prepared, persisted)


def keep_explanations(
    results: Results,
    say: Callable[[str], None],
    watching: Callable[[], AbstractContextManager[Watch]],
    run: TrainedRun,
    table: Dataset,
    predicted: Path,
    folder: Path,
) -> None:
    """Keep in a run's folder why the rows have their answers, for the deployment to write."""
    from trimaran.rollout.results.explaining import explanations_of

    with watching() as watch:
        found = explanations_of(
            run,
            table.frame,
            predicted,
            rows=results.explained_rows,
            features=results.features,
            done=lambda done, total: watch("explaining", done, total),
        )
    if found is None:
        say(f"note: {run.directory} was trained without a background, so no row is explained")
    else:
        write_text(folder / EXPLANATIONS, found)


def _silent(what: str, done: int, total: int) -> None:
    """Show nothing."""
