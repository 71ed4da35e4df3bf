"""What follows a retrained run: a canary, a deployment, or what a person is asked to do."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from trimaran.cli.planned_canary import planned_canary
from trimaran.cli.releases import show
from trimaran.cli.results import show_results
from trimaran.cli.traffic import conducted, figures_of
from trimaran.repository.repository import Repository
from trimaran.rollout.experiments.verdict import Verdict
from trimaran.rollout.retrain_plan import Canary, RetrainPlan
from trimaran.rollout.retraining.ahead import (
    Ahead,
    ahead_of,
    awaited,
    canary_of,
    note_tried,
    unwanted,
)
from trimaran.rollout.runs.checklist import Answers
from trimaran.rollout.runs.decisions import ledger_of, review, runs_in
from trimaran.rollout.runs.deploying import deploy_run, prepare_run
from trimaran.rollout.runs.run import Run, find_run, live_run
from trimaran.rollout.runs.settings import Settings
from trimaran.rollout.runs.states import LIVE, State
from trimaran.system.errors import TrimaranError

__all__ = ["NOT_GOOD_ENOUGH", "Follower"]

NOT_GOOD_ENOUGH = 3
_USUAL = 0
_LOST = {"abort": "lost its canary", "inconclusive": "was not decided by its canary"}


@dataclass(frozen=True)
class Follower:
    """What has a retrained run of one name go on."""

    repository: Repository
    settings: Settings
    rules: RetrainPlan
    by: str
    checklist: Answers | None
    """With which a run is deployed; None where it waits."""
    tritonserver: Path | None

    def follow(self, wanted: str) -> int:
        """Try and deploy a run that passed its gates, as far as that is to be done; the status.

        Raises `TrimaranError` that says how the run goes on.
        """
        run, canary = self._run(wanted), self.rules.canary
        if canary is not None and self._ahead(run) is Ahead.CANARY:
            awaits = awaited(self.repository, run)
            if awaits:
                show(f"{run.id} is pending, and its canary waits: {awaits}; {_again(run)} goes on")
                return 0
            try:
                self._try(run, canary)
            except TrimaranError as error:
                raise TrimaranError(
                    f"the canary of {run.id} is not over: {error}; then {_again(run)} goes on"
                ) from error
            run = self._run(wanted)
        if self._ahead(run) is Ahead.DEPLOYMENT:
            self._deploy(run)
            run = self._run(wanted)
        if run.state in LIVE and self.checklist is not None:
            show_results(self.repository, self.settings, run.id, self.by, show)
        return _told(run)

    def _run(self, wanted: str) -> Run:
        return find_run(self._runs(), wanted)

    def _runs(self) -> dict[str, Run]:
        return runs_in(self.repository, ledger_of(self.repository).entries())

    def _ahead(self, run: Run) -> Ahead | None:
        live = live_run(self._runs(), run.name)
        deploys = self.checklist is not None
        canary = self.rules.canary is not None
        return None if live is None else ahead_of(run, live, canary=canary, deploys=deploys)

    def _try(self, run: Run, canary: Canary) -> None:
        from ensembles.deploy_run import made_of_run

        figures_of(self.repository)
        run = prepare_run(self.repository, self.settings, run.id, self.by, made_of_run)
        order = planned_canary(self.repository, run.name, canary, run.parts[run.name])

        def won(found: Verdict) -> None:
            self._note(run, found)
            self._deploy(run)

        tried = canary_of(self.repository, run)
        if tried is None or tried.state.decision is None:
            _take_usual_priority()
            conducted(
                self.repository,
                order,
                by=self.by,
                deploy=won if self.checklist is not None else None,
                unwanted=lambda: unwanted(self._run(run.id)),
                tritonserver=self.tritonserver,
            )
            tried = canary_of(self.repository, run)
        if tried is not None:
            self._note(run, tried.verdict())

    def _note(self, run: Run, found: Verdict) -> None:
        tried = canary_of(self.repository, run)
        if tried is not None:
            note_tried(self.repository, run, tried.state.name, found, self.by)

    def _deploy(self, run: Run) -> None:
        from ensembles.deploy_run import made_of_run

        if self.checklist is not None and run.reviewed is None:
            review(self.repository, self.settings, run.id, self.by, self.checklist)
        deploy_run(
            self.repository,
            self.settings,
            run.id,
            self.by,
            made_of_run,
            tritonserver=self.tritonserver,
            say=show,
        )


def _take_usual_priority() -> None:
    """A candidate's server inherits it, and with a lower one than live's it would answer later."""
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, _USUAL)
    if (priority := os.getpriority(os.PRIO_PROCESS, 0)) > _USUAL:
        show(
            f"note: this command runs with nice {priority}, and so does the candidate's server, "
            "which may answer later than what is live"
        )


def _again(run: Run) -> str:
    return f"'trimaran retrain {run.name} --due'"


def _told(run: Run) -> int:
    """Say how a run stands, and what is next; the exit status."""
    failed = run.compared.details.get("failed", ()) if run.compared else ()
    if run.state is not State.PENDING:
        show(f"{run.id} is {run.state}")
    elif failed:
        show(f"{run.id} is pending, and did not pass: {', '.join(failed)}")
        return NOT_GOOD_ENOUGH
    elif run.tried is None:
        show(f"{run.id} is pending; next: trimaran review {run.id}")
    else:
        found = run.tried.details
        if (lost := _LOST.get(found["verdict"])) is not None:
            show(
                f"{run.id} is pending, and {lost}, experiment {found['experiment']}: {found['why']}"
            )
            return NOT_GOOD_ENOUGH
        won = f"won its canary, experiment {found['experiment']}"
        show(f"{run.id} is pending, and {won}; next: trimaran review {run.id}")
    return 0
