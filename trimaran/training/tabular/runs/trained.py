"""A finished run's directory, and how to read it.

| file | holds |
|---|---|
| `config.json` | everything that decided the run |
| `transform.json` | the fitted transform, the same file that is served |
| `reference.json` | the distribution of the training part, which drift is measured from |
| `weights.pt` | the network's state |
| `samples.npy` | features of training rows, float32 `[rows, columns]`, to verify exports with |
| `background.json` | training rows before the transform, to explain predictions by |
| `predictions.csv` | identifier, part, target and predictions of each row |
| `report.html` | the report |
| `metrics.json` | every metric; written last, so a run that has it is finished |
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trimaran.served.answers import Answers, answers_of
from trimaran.system.errors import TrimaranError, UsageError
from trimaran.system.files import write_text
from trimaran.training.run_directory import RunDirectory

if TYPE_CHECKING:  # torch takes seconds to import, and publishing an ensemble does not need it
    from torch import nn

    from trimaran.training.tabular.tasks.task import Task

__all__ = ["TrainedRun", "latest_run", "name_latest", "named_run"]

_LATEST = "latest.json"


class TrainedRun(RunDirectory):
    """A finished run, by its directory."""

    @property
    def name(self) -> str:
        """What its models are called."""
        return str(self.entry("config.json", "family"))

    def transform_text(self) -> str:
        """The fitted transform, as JSON text."""
        return self.text("transform.json")

    def reference_text(self) -> str:
        """The distribution of the training part, as JSON text: see `Reference`."""
        return self.text("reference.json")

    def split_by_time(self) -> Mapping[str, Any]:
        """The column, and `from` and `to` of each part; empty where the split was not by time."""
        found: Mapping[str, Any] = self.config().get("split", {})
        return found

    def answers(self) -> Answers:
        """What the served models answer."""
        try:
            return answers_of(self.entry("config.json", "schema")["task"])
        except (KeyError, TypeError) as error:
            raise self.unreadable("config.json", error) from error

    def task(self) -> Task:
        """What the run predicts."""
        from trimaran.training.tabular.tasks.named import task_of

        try:
            return task_of(self.entry("config.json", "schema")["task"])
        except (KeyError, TypeError) as error:
            raise self.unreadable("config.json", error) from error

    def module(self) -> nn.Module:
        """The module that is served, with its weights and what was chosen, in eval mode.

        It takes features, float32 `[batch, columns]`, and gives what `answers().network` names.
        """
        from trimaran.training.tabular.learning.checkpoints import load_tensors
        from trimaran.training.tabular.learning.estimators import restored
        from trimaran.training.tabular.learning.hyperparameters import (
            ESTIMATORS,
            Hyperparameters,
        )
        from trimaran.training.tabular.learning.networks import build_network

        hyper = Hyperparameters.from_dict(self.entry("config.json", "hyperparameters"))
        task = self.task()
        chosen = {name: float(self.entry("metrics.json", name)) for name in task.served}
        width = len(self.entry("transform.json", "outputs"))
        state = load_tensors(self.directory / "weights.pt")
        try:
            if hyper.network in ESTIMATORS:
                return task.module(restored(state), chosen).eval()
            column = state["encoding.column"].numpy()
            edge = state["encoding.edge"].numpy().astype(np.float64)
            edges = [edge[column == place] for place in range(width)]
            network = build_network(hyper, edges, state["head.bias"].shape[-1])
            network.load_state_dict(state)
        except (KeyError, RuntimeError) as error:
            raise self.unreadable("weights.pt", error) from error
        return task.module(network, chosen).eval()


def name_latest(run: TrainedRun) -> None:
    """Make a finished run the one that is exported, atomically."""
    text = json.dumps({"run": run.directory.name}) + "\n"
    write_text(run.directory.parent / _LATEST, text)


def latest_run(family: Path) -> TrainedRun | None:
    """The run that a family's directory names as the latest, if it exists and is finished."""
    try:
        name = json.loads((family / _LATEST).read_text(encoding="utf-8"))["run"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    run = TrainedRun(family / str(name))
    return run if run.is_finished else None


def named_run(place: str) -> TrainedRun:
    """The run that `runs/NAME/latest`, `runs/NAME` or its own directory names.

    Raises `UsageError` for a word that is no path, and `TrimaranError` where there is no run, or it
    is not finished.
    """
    path = Path(place)
    if path.name == place and not path.exists():
        raise UsageError(
            f"{place!r} names no function, and no trained run; write package.module:function, "
            "path/to/file.py:function or runs/NAME/latest"
        )
    if path.name == "latest" and not path.exists():
        path = path.parent
    run = TrainedRun(path)
    if run.is_finished:
        return run
    if (path / "config.json").is_file():
        raise TrimaranError(
            f"{path} is not a finished run: it has no metrics.json; run its 'trimaran train' again"
        )
    latest = latest_run(path)
    if latest is None:
        raise TrimaranError(
            f"there is no trained run in {path}; train one with 'trimaran train TABLE', or name a "
            "factory as package.module:function or path/to/file.py:function"
        )
    return latest
