from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.trimaran.training.tabular.customers import FAST, problem, recipe
from trimaran.system.errors import UsageError
from trimaran.training.tabular.runs.run import train
from trimaran.training.tabular.runs.tracking import require_mlflow, store_of, track


def test_without_mlflow_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(UsageError, match=r"pip install '\.\[tracking\]'"):
        require_mlflow()


@pytest.mark.long
@pytest.mark.filterwarnings("ignore")
def test_a_run_is_logged_once(tmp_path: Path) -> None:
    mlflow = pytest.importorskip("mlflow")
    run = train(problem(), recipe(replace(FAST, epochs=3)), 0, tmp_path)
    assert track(run, tmp_path)
    assert not track(run, tmp_path)
    client = mlflow.MlflowClient(tracking_uri=store_of(tmp_path))
    experiment = client.get_experiment_by_name("churn")
    (logged,) = client.search_runs([experiment.experiment_id])
    metrics = run.metrics()
    assert logged.data.metrics["test_f1"] == pytest.approx(metrics["test"]["f1"])
    assert logged.data.params["hidden"] == "8"
    losses = client.get_metric_history(logged.info.run_id, "validation_loss")
    assert [each.value for each in losses] == [
        epoch["validation_loss"] for epoch in metrics["history"]
    ]
    names = {each.path for each in client.list_artifacts(logged.info.run_id)}
    assert {"report.html", "weights.pt"} <= names
