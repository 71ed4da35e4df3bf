"""Finished runs in MLflow's local store."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

from trimaran.system.errors import UsageError
from trimaran.training.tabular.runs.trained import TrainedRun

__all__ = ["require_mlflow", "store_of", "track"]

_TAG = "trimaran.run"
_ARTIFACTS = ("config.json", "metrics.json", "transform.json", "report.html", "weights.pt")


def require_mlflow() -> Any:
    """The module `mlflow`, with its telemetry off. Raises `UsageError` if it is not installed."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    try:
        import mlflow
    except ModuleNotFoundError as error:
        raise UsageError(
            "--track needs MLflow, which is not installed; "
            "run pip install '.[tracking]' in trimaran's checkout"
        ) from error
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    return mlflow


def store_of(out: Path) -> str:
    """The tracking URI of the store below a directory of runs, as `mlflow ui` takes it."""
    return f"sqlite:///{(out / 'mlflow.db').resolve()}"


def track(run: TrainedRun, out: Path) -> bool:
    """Log a finished run once: hyperparameters, metrics, losses by epoch, and its files.

    Returns false if the store already has it. Raises `UsageError` without MLflow.
    """
    mlflow = require_mlflow()
    out.mkdir(parents=True, exist_ok=True)
    client = mlflow.MlflowClient(tracking_uri=store_of(out))
    family = run.directory.parent.name
    found = client.get_experiment_by_name(family)
    place = (out / "mlflow-artifacts" / family).resolve().as_uri()
    experiment = found.experiment_id if found else client.create_experiment(family, place)
    name = run.directory.name
    known = client.search_runs(
        [experiment], f"tags.`{_TAG}` = '{name}' and attributes.status = 'FINISHED'"
    )
    if known:
        return False
    logged = client.create_run(experiment, run_name=name, tags={_TAG: name}).info.run_id
    try:
        _log(client, logged, run)
    except BaseException:
        client.set_terminated(logged, "FAILED")
        raise
    client.set_terminated(logged, "FINISHED")
    return True


def _log(client: Any, logged: str, run: TrainedRun) -> None:
    config, metrics, task = run.config(), run.metrics(), run.task()
    for name, value in {**config["hyperparameters"], "seed": config["seed"]}.items():
        client.log_param(logged, name, value)
    for part in ("validation", "test"):
        for metric in task.metrics:
            client.log_metric(logged, f"{part}_{metric}", metrics[part][metric])
    for name in task.chosen:
        client.log_metric(logged, name, metrics[name])
    for step, epoch in enumerate(metrics["history"], 1):
        for name, value in epoch.items():
            client.log_metric(logged, name, value, step=step)
    for name in _ARTIFACTS:
        client.log_artifact(logged, str(run.directory / name))
