"""`trimaran runs`, `history`, `ignore` and `approve`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
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
from trimaran.repository.repository import Repository
from trimaran.rollout.ledger import Entry
from trimaran.rollout.runs import decisions
from trimaran.rollout.runs.people import person
from trimaran.rollout.runs.run import Run, runs_named
from trimaran.rollout.runs.settings import find_settings
from trimaran.rollout.runs.states import State
from trimaran.rollout.runs.story import clocks_set_back, metric_text, of_name, told
from trimaran.system.console import console, printable
from trimaran.system.errors import TrimaranError
from trimaran.system.toml_text import nearest

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
    opened = Repository.open(repository)
    ledger = decisions.ledger_of(opened)
    read = ledger.read()
    found = decisions.runs_in(opened, read.entries)
    if name is not None:
        _require_known(name, found.values())
    shown = list(found.values()) if name is None else runs_named(found, name)
    if as_json:
        print(json.dumps([_record(run) for run in shown], indent=2))
    elif not shown:
        print("no runs yet; make one with 'trimaran run NAME'")
    else:
        console().print(_table(shown))
    if read.problem:
        raise TrimaranError(read.problem)


def history(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name, or one run: NAME/N.")],
    repository: RepositoryPath = DEFAULT_REPOSITORY,
    as_json: AsJson = False,
) -> None:
    """Tell each line of the ledger about a name, or about one run."""
    opened = Repository.open(repository)
    read = decisions.ledger_of(opened).read()
    _require_known(name.partition("/")[0], decisions.runs_in(opened, read.entries).values())
    back = clocks_set_back(read.entries)
    lines = list(of_name(read.entries, name))
    if as_json:
        print(json.dumps([_line(entry) for entry in lines], indent=2))
    else:
        screen = console()
        for entry in lines:
            late = "; the clock was set back before this line" if entry.number in back else ""
            who = entry.by or "trimaran"
            words = f"{entry.number:>4}  {_minute(entry.time)}  {who}: {told(entry)}{late}"
            screen.print(printable(words), markup=False, highlight=False, soft_wrap=True)
    if read.problem:
        raise TrimaranError(read.problem)


def ignore(
    run: RunId,
    why: Annotated[str, typer.Option(metavar="TEXT", help="The reason, for the ledger.")],
    by: Person = None,
    repository: RepositoryPath = DEFAULT_REPOSITORY,
    settings: SettingsPath = None,
) -> None:
    """Decide that a pending run is never deployed. It can still be looked at."""
    opened = Repository.open(repository)
    ignored = decisions.ignore(opened, _settings(settings), run, person(by), why)
    print(f"{ignored.id} is ignored")


def approve(
    run: RunId,
    by: Person = None,
    repository: RepositoryPath = DEFAULT_REPOSITORY,
    settings: SettingsPath = None,
) -> None:
    """Stand behind the review of a pending run, as another person than its reviewer."""
    opened = Repository.open(repository)
    approved = decisions.approve(opened, _settings(settings), run, person(by))
    print(f"{approved.id} is approved; deploy it with: trimaran deploy {approved.id}")


def _settings(given: Path | None) -> Any:
    return find_settings(Path.cwd(), given)


def _require_known(name: str, runs: Any) -> None:
    names = list(dict.fromkeys(run.name for run in runs))
    if name not in names:
        known = nearest(name, names) if names else f"make one with 'trimaran run {name}'"
        raise TrimaranError(f"there is no run of {name!r}; {known}")


def _table(shown: Sequence[Run]) -> Table:
    table = Table()
    for heading in ("run", "state", "metric", "data", "release", "who", "when"):
        table.add_column(heading, overflow="fold")
    for run in shown:
        colour = _COLOURS.get(run.state, "dim")
        record = _record(run)
        table.add_row(
            escape(run.id),
            f"[{colour}]{run.state}[/{colour}]" + (", deploying" if run.is_deploying else ""),
            escape(metric_text(run.outcome)) if run.finished else "",
            escape(printable(record["data"])),
            str(run.release or ""),
            escape(record["who"]),
            record["when"][:16].replace("T", " "),
        )
    return table


def _record(run: Run) -> dict[str, Any]:
    """A run as plain values."""
    outcome = run.outcome
    return {
        "run": run.id,
        "state": str(run.state),
        "metric": outcome.get("metric"),
        "value": outcome.get("value"),
        "interval": outcome.get("interval"),
        "data": run.begun.details.get("data", ""),
        "rows": outcome.get("rows"),
        "predicts_with": run.predicts_with,
        "release": run.release,
        "parts": dict(run.parts),
        "reviewed_by": run.reviewed.by if run.reviewed else None,
        "approved_by": [entry.by for entry in run.approved],
        "deploying": run.is_deploying,
        "directory": outcome.get("directory"),
        "reports": outcome.get("reports", {}),
        "why": run.ignored.details.get("why") if run.ignored else None,
        "did": told(run.last),
        "who": run.last.by,
        "when": run.last.time,
    }


def _line(entry: Entry) -> dict[str, Any]:
    return {**entry.record(), "told": told(entry)}


def _minute(time: str) -> str:
    return time[:19].replace("T", " ")
