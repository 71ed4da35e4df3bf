"""A finished run that predicts other rows, and the rows that it was trained on."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from trimaran.training.tabular.data.reading import Source
from trimaran.training.tabular.data.sources import load
from trimaran.training.tabular.runs.frozen import frozen_schema, frozen_table, scored_table
from trimaran.training.tabular.runs.trained import TrainedRun, latest_run


@pytest.fixture
def run(churn_trained: Path) -> TrainedRun:
    found = latest_run(churn_trained / "runs" / "churn")
    assert found is not None
    return found


def test_a_frozen_run_predicts_what_it_predicted_when_it_was_trained(run: TrainedRun) -> None:
    data = load("mlc_churn")
    assert replace(frozen_schema(run), ignored=()) == replace(data.schema, ignored=())
    scored = scored_table(run, data)
    with (run.directory / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    before = np.array([float(row["probability"]) for row in rows])
    assert np.abs(scored.predictions - before).max() < 1e-6
    assert {each.verdict for each in scored.drift} == {"stable"}


def test_a_table_may_lack_outcomes_and_identifiers_and_have_other_columns(
    run: TrainedRun, tmp_path: Path
) -> None:
    data = load("mlc_churn")
    frame = data.frame.head(300).drop(columns=["churn", "customer_id"]).assign(extra="x")
    frame["total_day_minutes"] *= 2
    frame.to_csv(tmp_path / "new.csv", index=False)
    found = frozen_table(run, Source(str(tmp_path / "new.csv")), tmp_path)
    scored = scored_table(run, found)
    assert not scored.known.any()
    assert scored.scores is None
    assert scored.predictions.shape == (300,)
    verdicts = {each.feature: each.verdict for each in scored.drift}
    assert verdicts["total_day_minutes"] == "drift"
    assert verdicts["total_eve_minutes"] == "stable"
    assert verdicts["churn_probability"] in ("stable", "unsure")
