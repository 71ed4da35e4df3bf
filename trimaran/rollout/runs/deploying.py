"""The deployment of a run, which goes on where it was interrupted.

The ledger says that it began, what was prepared, and that it ended. What is prepared, such as for a
canary, is not made again, and the model of the run's name is switched last: once it is live, all
is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from trimaran.repository.live import is_deployed, live_release
from trimaran.repository.repository import Repository
from trimaran.rollout.api import deploy as deploy_release
from trimaran.rollout.api import rollback
from trimaran.rollout.runs.decisions import deciding, require_decided
from trimaran.rollout.runs.families.known import frozen_of
from trimaran.rollout.runs.model_card import remove_card, write_card
from trimaran.rollout.runs.run import Run, find_run, runs_of
from trimaran.rollout.runs.settings import Settings
from trimaran.rollout.runs.states import LIVE, Move
from trimaran.rollout.runs.training import estimator_of, one_at_a_time
from trimaran.system.errors import TrimaranError

__all__ = ["Deployed", "Make", "deploy_run", "prepare_run"]

Say = Callable[[str], None]


class Make(Protocol):
    """What exports, publishes and releases a trained run: the release or version of each model."""

    def __call__(
        self, directory: Path, formats: Sequence[str], repository: Repository
    ) -> Mapping[str, int]:
        """Do it; what stands already is not made again. Raises `TrimaranError`."""
        ...


@dataclass(frozen=True)
class Deployed:
    """What became live."""

    run: Run
    parts: Mapping[str, int]
    card: Path


def deploy_run(
    repository: Repository,
    settings: Settings,
    wanted: str,
    by: str,
    make: Make,
    *,
    persist: bool = False,
    tritonserver: Path | None = None,
    say: Say = lambda step: None,
) -> Deployed:
    """Make a reviewed run live, or go on with that.

    With `persist` it is frozen: the next runs predict with it. A run that predicts stays frozen.
    Where a model does not become live, those before it go back. Raises `TrimaranError`.
    """
    settings.require_role("deploy", by)
    with deciding(repository) as now:
        pending = now.pending(wanted, Move.DEPLOY, settings)
    estimator = estimator_of(repository, pending)
    if persist:
        frozen_of(estimator.directory, pending.id)
    name = pending.name
    with one_at_a_time(repository, name):
        run = _begun(repository, settings, wanted, by, persist=persist)
        card = None
        try:
            run = _prepared(repository, settings, run, by, make)
            card = write_card(repository, run)
            say(f"model card: {card}")
            for model, number in _ordered(run):
                if _live(repository, model) == number:
                    say(f"{model}: {number} is live already")
                    continue
                done = deploy_release(
                    model, number, repository, tritonserver=tritonserver, progress=say
                )
                say(f"{model}: {done}")
        except TrimaranError as error:
            if card is not None:
                remove_card(card)
            _take_back(repository, run, by, str(error), tritonserver, say)
            raise
        with deciding(repository) as now:
            if find_run(now.runs, run.id).state not in LIVE:
                details = run.deploying.details if run.deploying else {}
                now.writer.add(by, "deployed", run.id, details)
    return Deployed(run, run.parts, card)


def prepare_run(
    repository: Repository, settings: Settings, wanted: str, by: str, make: Make
) -> Run:
    """Make the releases of a pending run, so that they can be tried; nothing becomes live.

    What was made before is not made again. Raises `TrimaranError`.
    """
    with one_at_a_time(repository, wanted.partition("/")[0]):
        with deciding(repository) as now:
            pending = now.pending(wanted, Move.DEPLOY, settings)
        return _prepared(repository, settings, pending, by, make)


def _begun(
    repository: Repository, settings: Settings, wanted: str, by: str, *, persist: bool
) -> Run:
    with deciding(repository) as now:
        run = now.pending(wanted, Move.DEPLOY, settings)
        require_decided(run, settings.approvals(run.name))
        frozen = persist or run.predicts_with is not None
        if run.deploying is None or (frozen and not run.deploying.details.get("persist")):
            now.writer.add(by, "deploying", run.id, {"persist": frozen})
            return find_run(runs_of(now.writer.entries), wanted)
        return run


def _prepared(repository: Repository, settings: Settings, run: Run, by: str, make: Make) -> Run:
    if run.prepared is not None:
        return run
    parts: Mapping[str, int] = {}
    if run.predicts_with is not None:
        with deciding(repository) as now:
            parts = find_run(now.runs, run.predicts_with).parts
    if not parts:
        directory = estimator_of(repository, run).directory
        parts = make(directory, settings.formats(run.name), repository)
    with deciding(repository) as now:
        before = {model: number for model in parts if (number := _live(repository, model))}
        now.writer.add(by, "prepared", run.id, {"parts": dict(parts), "before": before})
        return find_run(runs_of(now.writer.entries), run.id)


def _ordered(run: Run) -> list[tuple[str, int]]:
    """The models with what is to be live of them, that of the run's name last."""
    return sorted(run.parts.items(), key=lambda part: part[0] == run.name)


def _live(repository: Repository, model: str) -> int | None:
    """The release or version that a deployment made live."""
    config = repository.live(model)
    live = live_release(config)
    return live.number if live is not None and is_deployed(config) else None


def _take_back(
    repository: Repository,
    run: Run,
    by: str,
    why: str,
    tritonserver: Path | None,
    say: Say,
) -> None:
    """Have what was live before it live again, also after a try that was killed, and say so."""
    before = run.prepared.details.get("before", {}) if run.prepared else {}
    for model, number in reversed(_ordered(run)):
        if _live(repository, model) == number != before.get(model):
            with suppress(TrimaranError):  # there was none before
                back = rollback(model, repository, tritonserver=tritonserver, progress=say)
                say(f"{model}: {back}")
    with deciding(repository) as now:
        now.writer.add(by, "failed", run.id, {"why": why})
