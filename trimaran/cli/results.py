"""What commands that change what is live do with the database of results."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from trimaran.repository.repository import Repository
from trimaran.rollout.runs.decisions import deciding, ledger_of, runs_in
from trimaran.rollout.runs.run import find_run, live_run, runs_named
from trimaran.rollout.runs.settings import Settings, find_settings
from trimaran.rollout.runs.states import LIVE
from trimaran.system.errors import TrimaranError

__all__ = ["follow_live", "show_results"]

Say = Callable[[str], None]


def show_results(
    repository: Repository, settings: Settings, wanted: str, by: str, say: Say
) -> bool:
    """Write the results of a run that is live, and have the views show them.

    False where it is not live, and where all of that was done before. Raises `TrimaranError` that
    says what to run again; nothing was written then.
    """
    with deciding(repository) as now:  # the ledger says so first, if its deployment was killed
        run = find_run(now.runs, wanted)
    if run.state not in LIVE:
        return False
    settings.require_role("deploy", by)
    return _delivered(repository, settings, run.name, say)


def follow_live(repository: Repository, name: str, settings: Path | None, say: Say) -> None:
    """Have the views of a name show what is live now; does nothing where no run of it ever was."""
    runs = runs_in(repository, ledger_of(repository).entries())
    if any(run.deployed for run in runs_named(runs, name)):
        _delivered(repository, find_settings(Path.cwd(), settings), name, say)


def _delivered(repository: Repository, settings: Settings, name: str, say: Say) -> bool:
    from trimaran.rollout.results.delivery import deliver

    try:
        done = deliver(repository, settings, name, say)
    except TrimaranError as error:
        live = live_run(runs_in(repository, ledger_of(repository).entries()), name)
        shown = f"{live.id} is live" if live else f"no run of {name} is live"
        again = live.id if live else name
        raise TrimaranError(
            f"{shown}, and {name}_current does not show it: {error}; then run: trimaran deploy "
            f"{again}"
        ) from None
    if done.changed:
        rows = f"{done.predictions} rows, {done.explained} of them with reasons; "
        shown = done.run.id if done.run else "nothing, as no run of it is live"
        say(f"{rows if done.predictions else ''}{name}_current in {done.place} shows {shown}")
    return done.changed
