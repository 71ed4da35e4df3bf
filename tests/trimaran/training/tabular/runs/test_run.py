from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.trimaran.training.tabular.customers import FAST, FAST_TABNET, problem, recipe
from trimaran.served.transform import Transform
from trimaran.system.errors import TrimaranError
from trimaran.training.tabular.data.split import stratified_split
from trimaran.training.tabular.features.fit import transform_frame
from trimaran.training.tabular.learning.hyperparameters import Hyperparameters
from trimaran.training.tabular.runs.config import Config, digest_of_frame
from trimaran.training.tabular.runs.run import CHECKPOINT, train
from trimaran.training.tabular.runs.trained import TrainedRun, latest_run, name_latest

FILES = [
    "background.json",
    "config.json",
    "metrics.json",
    "predictions.csv",
    "reference.json",
    "report.html",
    "samples.npy",
    "transform.json",
    "weights.pt",
]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> TrainedRun:
    return train(problem(), recipe(), 0, tmp_path_factory.mktemp("runs"))


def test_a_run_leaves_its_files_and_nothing_else(finished: TrainedRun) -> None:
    assert finished.directory.name == Config.of(problem(), recipe(), 0).name
    names = sorted(path.name for path in finished.directory.iterdir())
    assert [name for name in names if name != ".lock"] == FILES


def test_a_finished_run_is_used_again(finished: TrainedRun) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in finished.directory.iterdir()}
    again = train(problem(), recipe(), 0, finished.directory.parent.parent, watch=pytest.fail)
    assert again == finished
    assert before == {path.name: path.stat().st_mtime_ns for path in again.directory.iterdir()}


@pytest.mark.parametrize(
    ("hyper", "killed_at"),
    [
        (FAST, "epoch 3"),
        pytest.param(FAST, "scoring", marks=pytest.mark.long),
        pytest.param(FAST, "epoch 0", marks=pytest.mark.long),
        pytest.param(FAST, "drawing the report", marks=pytest.mark.long),
        pytest.param(FAST_TABNET, "epoch 3", marks=pytest.mark.long),
    ],
)
def test_a_run_that_goes_on_leaves_the_same_bytes(
    finished: TrainedRun, hyper: Hyperparameters, killed_at: str, tmp_path: Path
) -> None:
    whole = finished if hyper == FAST else train(problem(), recipe(hyper), 0, tmp_path / "whole")

    def stop(stage: str) -> None:
        if stage == killed_at:
            raise KeyboardInterrupt

    out = tmp_path / "stopped"
    with pytest.raises(KeyboardInterrupt):
        train(problem(), recipe(hyper), 0, out, lambda number, *_: stop(f"epoch {number}"), stop)
    assert not TrainedRun(out / "churn" / whole.directory.name).is_finished
    assert (out / "churn" / whole.directory.name / CHECKPOINT).is_file()
    resumed = train(problem(), recipe(hyper), 0, out)
    for name in FILES:
        one, other = (run.directory / name for run in (whole, resumed))
        assert one.read_bytes() == other.read_bytes(), name


def test_predictions_are_those_of_the_exported_classifier(finished: TrainedRun) -> None:
    about = problem()
    transform = Transform.read(finished.directory / "transform.json")
    features = transform_frame(transform, about.schema, about.frame)
    with torch.no_grad():
        probability, prediction = finished.module()(torch.from_numpy(features))
    with (finished.directory / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["identifier"] for row in rows] == about.frame["id"].tolist()
    assert [row["target"] == "1" for row in rows] == about.target.tolist()
    written = np.array([float(row["probability"]) for row in rows], dtype=np.float32)
    np.testing.assert_allclose(written, probability.numpy()[:, 0], rtol=0, atol=1e-6)
    split = stratified_split(about.strata, 0)
    for part, indices in split.parts().items():
        assert {rows[row]["part"] for row in indices} == {part}
    metrics = finished.metrics()
    decided = prediction.numpy()[split.test, 0]
    assert (
        metrics["test"]["confusion"]["true_positive"] == (decided & about.target[split.test]).sum()
    )
    assert finished.module().threshold == np.float32(metrics["threshold"])


def test_the_samples_are_training_rows(finished: TrainedRun) -> None:
    about = problem()
    transform = Transform.read(finished.directory / "transform.json")
    split = stratified_split(about.strata, 0)
    features = transform_frame(transform, about.schema, about.rows(split.train))
    known = {row.tobytes() for row in features}
    assert len(finished.samples()) == len(features)
    assert all(row.tobytes() in known for row in finished.samples())


def test_the_report_is_one_page_that_says_the_result(finished: TrainedRun) -> None:
    html = (finished.directory / "report.html").read_text()
    metrics = finished.metrics()
    assert f"{metrics['test']['f1']:.3f}" in html
    assert "goal" not in html
    assert html.count("<figure>") == 10
    for foreign in ("http://", "https://", "<script", "<link"):
        assert foreign not in html.replace("http://www.w3.org", "")


@pytest.mark.parametrize(
    ("goal", "said"),
    [pytest.param(0.0, "is reached", marks=pytest.mark.long), (1.0, "is not reached")],
)
def test_the_report_says_whether_the_goal_is_reached(
    goal: float, said: str, tmp_path: Path
) -> None:
    quick = replace(recipe(replace(FAST, epochs=2)), goal=goal, caveat="Beware of it.")
    run = train(problem(), quick, 0, tmp_path)
    html = (run.directory / "report.html").read_text()
    assert f"{said} on seed 0" in html
    assert "Beware of it." in html
    assert run.metrics()["goal_reached"] is (goal == 0.0)


def test_what_decides_the_outcome_decides_the_name() -> None:
    about = problem()
    config = Config.of(about, recipe(), 0)
    moved = replace(config, source="elsewhere")
    assert moved.name == config.name
    others = [
        Config.of(about, recipe(), 1),
        Config.of(about, recipe(replace(FAST, dropout=0.3)), 0),
        Config.of(problem(seed=1), recipe(), 0),
        replace(config, versions={"torch": "0"}),
    ]
    assert len({config.name, *(other.name for other in others)}) == 5


def test_an_ignored_column_decides_nothing() -> None:
    about = problem()
    other = replace(about, schema=replace(about.schema, ignored=("comment",)))
    assert Config.of(other, recipe(), 0).as_dict() == Config.of(about, recipe(), 0).as_dict()


@pytest.mark.long
def test_what_a_kill_left_half_written_is_removed(tmp_path: Path) -> None:
    about = problem()
    directory = tmp_path / "churn" / Config.of(about, recipe(), 0).name
    directory.mkdir(parents=True)
    for name in (".report.html.abcdefgh", ".checkpoint.pt.abcdefgh"):
        (directory / name).write_bytes(b"torn")
    run = train(about, recipe(), 0, tmp_path)
    assert run.directory == directory
    assert not list(directory.glob(".*.*"))


def test_one_changed_cell_changes_the_digest() -> None:
    frame = problem().frame
    digest = digest_of_frame(frame)
    assert digest_of_frame(frame.copy()) == digest
    for column, value in (("calls", 99.0), ("minutes", np.nan), ("plan", None)):
        changed = frame.copy()
        changed.loc[7, column] = value
        assert digest_of_frame(changed) != digest


def test_the_latest_run_is_named_only_when_it_is_there(
    finished: TrainedRun, tmp_path: Path
) -> None:
    assert latest_run(tmp_path) is None
    name_latest(finished)
    assert latest_run(finished.directory.parent) == finished
    (tmp_path / "latest.json").write_text(json.dumps({"run": "gone"}))
    assert latest_run(tmp_path) is None


def test_a_damaged_run_is_reported(finished: TrainedRun, tmp_path: Path) -> None:
    run = TrainedRun(tmp_path / "run")
    run.directory.mkdir()
    for name in FILES:
        (run.directory / name).write_bytes((finished.directory / name).read_bytes())
    (run.directory / "weights.pt").write_bytes(b"torn")
    with pytest.raises(TrimaranError, match=r"weights\.pt cannot be read"):
        run.module()
    (run.directory / "samples.npy").write_bytes(b"")
    with pytest.raises(TrimaranError, match=r"samples\.npy cannot be used"):
        run.samples()
    for name in ("transform.json", "metrics.json", "config.json"):
        (run.directory / name).write_text("{}")
        with pytest.raises(TrimaranError, match=rf"{name} cannot be used \(KeyError\)"):
            run.module()
    (run.directory / "config.json").write_text("{")
    with pytest.raises(TrimaranError, match=r"config\.json cannot be used .* train it again"):
        run.module()


def test_a_run_says_how_it_was_split_by_time(tmp_path: Path) -> None:
    about = problem()
    schema = replace(about.schema, time="on", gap_days=20)
    days = 20_000.0 + np.random.default_rng(0).permutation(len(about.frame))
    timed = replace(about, frame=about.frame.assign(on=days), schema=schema)
    run = train(timed, recipe(Hyperparameters(network="linear")), 0, tmp_path)
    assert run.split_by_time() == {
        "by": "time",
        "column": "on",
        "gap_days": 20,
        "train": {"from": "2024-10-04", "to": "2025-10-18"},
        "validation": {"from": "2025-11-08", "to": "2026-02-05"},
        "test": {"from": "2026-02-26", "to": "2026-05-26"},
    }
    report = (run.directory / "report.html").read_text(encoding="utf-8")
    assert "split by time, the dates of &#39;on&#39;" in report
    assert "2026-02-26" in report
    assert "more than 20 days apart" in report
    assert "the 40 rows between them are in none" in report
    with (run.directory / "predictions.csv").open() as file:
        parts = np.array([row["part"] for row in csv.DictReader(file)])
    assert (parts == "test").tolist() == (days >= 20_510).tolist()
    assert np.count_nonzero(parts == "") == 40
    for fold in timed.folds(timed.split(0).train, 2, 0):
        assert days[fold.validation].min() - days[fold.train].max() > 20
        assert days[fold.test].min() - days[fold.validation].max() > 20
    assert not [name for name in run.transform_text().split() if "on_" in name]
    far = replace(timed, schema=replace(schema, gap_days=600))
    with pytest.raises(TrimaranError, match="the train part has 0 negative rows"):
        train(far, recipe(Hyperparameters(network="linear")), 0, tmp_path / "far")
    assert not (tmp_path / "far").exists()
