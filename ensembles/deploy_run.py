"""What `import trimaran` offers to deploy a reviewed run, with all that serves it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trimaran.cli.results import show_results
from trimaran.repository.repository import DEFAULT_PLACE, Place, Repository, opened_at
from trimaran.rollout.runs.people import person
from trimaran.rollout.runs.record import RunRecord, record_of
from trimaran.rollout.runs.settings import Settings, settings_at

__all__ = ["DeployedRun", "deploy_run", "made_of_run"]


@dataclass(frozen=True)
class DeployedRun:
    """A run that became live, and its model card, as Markdown; the page lies beside it."""

    run: RunRecord
    card: Path


def deploy_run(
    run: str,
    *,
    persist: bool = False,
    by: str | None = None,
    repository: Place = DEFAULT_PLACE,
    settings: Settings | Path | None = None,
    tritonserver: Path | None = None,
    progress: Callable[[str], None] = lambda step: None,
) -> DeployedRun:
    """Export, publish and release what serves a reviewed run, `NAME/N`, and make it live.

    Then its results are written to the database. With `persist` the next runs of its name predict
    with it. `tritonserver` is as in `deploy`, and the other arguments are as in `run`. The same
    call goes on after an interruption. Raises `TrimaranError`, which says whether the run became
    live; if not, what was live stays live.
    """
    from trimaran.rollout.runs.decisions import ledger_of, runs_in
    from trimaran.rollout.runs.deploying import deploy_run as deploy_pending
    from trimaran.rollout.runs.model_card import CARD
    from trimaran.rollout.runs.run import find_run
    from trimaran.rollout.runs.training import folder_in

    opened, found, who = opened_at(repository), settings_at(settings), person(by)
    # A run that is live already has only its results written, where they lack.
    if not show_results(opened, found, run, who, progress):
        deploy_pending(
            opened,
            found,
            run,
            who,
            made_of_run,
            persist=persist,
            tritonserver=tritonserver,
            say=progress,
        )
        show_results(opened, found, run, who, progress)
    live = find_run(runs_in(opened, ledger_of(opened).entries()), run)
    return DeployedRun(record_of(opened, live), folder_in(opened, live) / CARD)


def made_of_run(
    directory: Path, formats: Sequence[str], repository: Repository
) -> Mapping[str, int]:
    """Export, publish and release a trained run: the release or version of what serves it."""
    from ensembles.pipeline import PythonModel
    from ensembles.publish import made_by
    from ensembles.publish import publish as publish_made
    from exporters.export_command import export_formats
    from trimaran.publishing.api import release as make_release

    place = os.path.relpath(directory)
    place = place if os.sep in place else f".{os.sep}{place}"
    export_formats(place, formats, repository)
    parts: dict[str, int] = {}
    all_made, source = made_by(place)
    for made in all_made:
        for publication in publish_made(made, repository, source=source):
            print(publication)
            if isinstance(made, PythonModel):
                parts[made.name] = publication.version
        if not isinstance(made, PythonModel):
            released = make_release(made.ensemble.name, None, repository)
            parts[released.ensemble] = released.number
    return parts
