"""`trimaran runs`, `history`, `ignore` and `approve`."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from trimaran.cli.options import (
    DEFAULT_REPOSITORY,
    AsJson,
    Person,
    RepositoryPath,
    RunId,
    SettingsPath,
)
from trimaran.rollout.runs import api
from trimaran.rollout.runs.record import Line, RunRecord
from trimaran.rollout.runs.states import State
from trimaran.rollout.runs.story import metric_text
from trimaran.system.console import console, printable

__all__ = ["approve", "history", "ignore", "runs"]

_COLOURS = {
    State.PENDING: "yellow",
    State.DEPLOYED: "green",
    State.PERSISTED: "green",
    State.UNFINISHED: "magenta",
}


def runs(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Only the runs of this name.")
    ] = None,
    repository: RepositoryPath = DEFAULT_REPOSITORY,
    as_json: AsJson = False,
) -> None:
    """Show the runs: their states, metrics and data, and who did what last."""
    _show(lambda: api.runs(name, repository), _print_runs, as_json=as_json)


def history(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name, or one run: NAME/N.")],
    repository: RepositoryPath = DEFAULT_REPOSITORY,
    as_json: AsJson = False,
) -> None:
    """Tell each line of the ledger about a name, or about one run."""
    _show(lambda: api.history(name, repository), _print_lines, as_json=as_json)


def ignore(
    run: RunId,
    why: Annotated[str, typer.Option(metavar="TEXT", help="The reason, for the ledger.")],
    by: Person = None,
    repository: RepositoryPath = DEFAULT_REPOSITORY,
    settings: SettingsPath = None,
) -> None:
    """Decide that a pending run is never deployed. It can still be looked at."""
    ignored = api.ignore(run, why, by=by, repository=repository, settings=settings)
    print(f"{ignored.run} is ignored")


def approve(
    run: RunId,
    by: Person = None,
    repository: RepositoryPath = DEFAULT_REPOSITORY,
    settings: SettingsPath = None,
) -> None:
    """Stand behind the review of a pending run, as another person than its reviewer."""
    approved = api.approve(run, by=by, repository=repository, settings=settings)
    print(f"{approved.run} is approved; deploy it with: trimaran deploy {approved.run}")


def _show(
    find: Callable[[], Sequence[Any]], show: Callable[[Sequence[Any]], None], *, as_json: bool
) -> None:
    """Show what is found; where the ledger was changed, what its lines before that say."""
    unsound = None
    try:
        found = find()
    except api.UnsoundLedgerError as error:
        found, unsound = error.found, error
    if as_json:
        print(json.dumps([asdict(each) for each in found], indent=2, default=str))
    else:
        show(found)
    if unsound:
        raise unsound


def _print_runs(shown: Sequence[RunRecord]) -> None:
    if shown:
        console().print(_table(shown))
    else:
        print("no runs yet; make one with 'trimaran run NAME'")


def _print_lines(lines: Sequence[Line]) -> None:
    screen = console()
    for each in lines:
        late = "; the clock was set back before this line" if each.clock_set_back else ""
        who = each.by or "trimaran"
        words = f"{each.line:>4}  {_at(each.time, 19)}  {who}: {each.told}{late}"
        screen.print(printable(words), markup=False, highlight=False, soft_wrap=True)


def _table(shown: Sequence[RunRecord]) -> Table:
    table = Table()
    for heading in ("run", "state", "metric", "data", "release", "who", "when"):
        table.add_column(heading, overflow="fold")
    for run in shown:
        colour = _COLOURS.get(run.state, "dim")
        table.add_row(
            escape(run.run),
            f"[{colour}]{run.state}[/{colour}]{_standing(run)}",
            escape(metric_text(asdict(run))) if run.metric else "",
            escape(printable(run.data)),
            str(run.release or ""),
            escape(run.who),
            _at(run.when, 16),
        )
    return table


def _standing(run: RunRecord) -> str:
    """What is to be known of a run that waits."""
    if run.deploying:
        return ", deploying"
    return f", canary: {run.tried}" if run.tried and run.state is State.PENDING else ""


def _at(time: str, characters: int) -> str:
    return time[:characters].replace("T", " ")
