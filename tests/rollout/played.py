"""Experiments on disk, played from the simulations of `proofs.experiments`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from proofs.experiments import Scenario, steps_of
from trimaran.repository.repository import Repository
from trimaran.rollout.experiments.experiment import Experiment
from trimaran.rollout.experiments.plan import Plan

__all__ = ["begun", "clock", "played"]


def clock(step_s: float = 20.0) -> Callable[[], datetime]:
    """A clock that goes on by `step_s` whenever it is read."""
    reads = 0

    def now() -> datetime:
        nonlocal reads
        reads += 1
        return datetime(2026, 11, 28, 9, tzinfo=UTC) + timedelta(seconds=reads * step_s)

    return now


def begun(
    root: Path, plan: Plan | None = None, now: Callable[[], datetime] | None = None
) -> Experiment:
    """An experiment of `churn` in a repository at `root`."""
    repository = Repository.create(root / "model_repository")
    return Experiment.begin(
        repository, "churn", "canary", "7", "8", plan or Plan(), by="anna", now=now or clock()
    )


def played(root: Path, scenario: Scenario, shares: tuple[float, ...], steps: int) -> Experiment:
    """One whose weights change every `steps` steps, until it is decided or these are over."""
    experiment = begun(root, replace(scenario.plan, steps=shares))
    for number, share in enumerate(shares):
        experiment.weigh(share, by="gateway")
        drawn = replace(scenario, share=share, steps=steps)
        for live, candidate in steps_of(drawn, number):
            found = experiment.observe(live, candidate)
            if found.word != "hold":
                experiment.decide(found, by="gateway")
                return experiment
    return experiment
