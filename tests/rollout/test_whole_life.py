"""The whole life of runs of a person's own table, by the command alone."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.rollout.live_shop import sqlite_at
from tests.rollout.project import Project
from tests.rollout.shop import customers, make_shop
from tests.running import TRIMARAN, kill_once, start_serving
from tests.trimaran.calling import call_trimaran
from trimaran.rollout.runs.decisions import ledger_of

pytestmark = pytest.mark.long


def decide(project: Project, run: str) -> None:
    """Review and approve a run."""
    project.call("review", run, "--answers=answers.toml")
    project.call("approve", run, by="bo")


def events(project: Project) -> list[str]:
    return [entry.event for entry in ledger_of(project.repository).read().entries]


def trained(project: Project) -> set[str]:
    return {path.parent.name for path in project.folder.glob("runs/shop/*/weights.pt")}


def test_train_twice_deploy_persist_predict_ignore_and_roll_back(tmp_path: Path) -> None:
    project = make_shop(tmp_path)
    project.call("run", "shop")
    decide(project, "shop/1")
    assert "400 rows, 200 of them with reasons" in project.call("deploy", "shop/1", by="bo").stdout
    assert (project.states(), project.live()) == (["deployed"], 1)
    results = sqlite_at(project.repository.state / "results.db")
    assert results.shown() == ["shop/1"]

    customers(500, 5).to_csv(tmp_path / "shop.csv", index=False)
    project.call("run", "shop")
    assert len(trained(project)) == 2
    decide(project, "shop/2")
    serving = start_serving(project.repository)
    golden = project.repository.model("shop") / "golden" / "many_calls.json"
    golden.parent.mkdir()
    expected = {"shop_probability": {"near": [3.0], "atol": 0.1}}
    golden.write_text(json.dumps({"inputs": {"calls": {"value": [9]}}, "expect": expected}))
    deploying = [*TRIMARAN, "deploy", "shop/2", "--by=bo"]
    try:
        kill_once(deploying, tmp_path, lambda: project.live("shop_record") == 2)
        assert project.fails("deploy", "shop/2", by="bo").startswith("shop release 2 was not dep")
        assert project.told("shop/2")[-1].startswith("did not deploy shop/2: shop release 2")
        assert (project.states(), project.live()) == (["deployed", "pending"], 1)
        assert serving.control.ready_versions("shop_record") == {1}
        assert not (tmp_path / "runs/shop/run-2/model_card.md").exists()
        golden.unlink()
        project.call("deploy", "shop/2", "--persist", by="bo")
        assert (project.states(), project.live()) == (["replaced", "persisted"], 2)
        assert serving.control.ready_versions("shop") == {2}
        assert results.shown() == ["shop/2"]
        call_trimaran("rollback", "shop", "--by=bo", cwd=tmp_path)
        assert (project.states(), results.shown()) == (["deployed", "replaced"], ["shop/1"])
        assert project.told("shop")[-1] == "release 1 of shop is live: trimaran rollback"
        call_trimaran("deploy", "shop", "--release=2", "--by=bo", cwd=tmp_path)
        assert (project.states(), results.shown()) == (["replaced", "persisted"], ["shop/2"])
    finally:
        serving.stop()

    customers(300, 1, first=450, shift=2).to_csv(tmp_path / "new.csv", index=False)
    said = project.call("run", "shop", "--data=new.csv").stdout
    assert "shop/3 begins: shop/2 predicts" in said
    assert re.search(r"4\d of 300 rows were there when the model was trained", said)
    assert len(trained(project)) == 2
    third = project.records()[2]
    assert third["rows"] == {"test": 300}
    drift = json.loads((tmp_path / third["directory"] / "metrics.json").read_text())["drift"]
    assert (drift[0]["feature"], drift[0]["verdict"]) == ("calls", "drift")
    project.call("ignore", "shop/3", "--why=shifted")
    assert project.states() == ["replaced", "persisted", "ignored"]


def test_a_deployment_that_is_killed_again_and_again_ends_with_nothing_twice(
    tmp_path: Path,
) -> None:
    project = make_shop(tmp_path)
    project.call("run", "shop")
    decide(project, "shop/1")
    command = [*TRIMARAN, "deploy", "shop/1", "--by=bo"]
    for event in ("deploying", "prepared"):
        kill_once(command, tmp_path, lambda event=event: event in events(project))
        assert (project.states(), project.live()) == (["pending"], None)
        begun = project.refused("ignore", "shop/1", "--why=x")
        assert begun.startswith("the deployment of shop/1 has begun")
    results = sqlite3.connect(project.repository.state / "results.db", isolation_level=None)
    with closing(results):  # a deployment waits for it, and so does not end before it is killed
        results.execute("BEGIN EXCLUSIVE")
        for done in (lambda: project.live() == 1, lambda: "deployed" in events(project)):
            kill_once(command, tmp_path, done)
            assert project.states() == ["deployed"]
    assert "400 rows, 200 of them with reasons" in project.call("deploy", "shop/1", by="bo").stdout
    assert (project.states(), project.live()) == (["deployed"], 1)
    told = project.told("shop/1")
    assert [line.split()[0] for line in told].count("deployed") == 1
    assert len(project.repository.versions("shop_onnx")) == 1
    assert (tmp_path / "runs/shop/run-1/model_card.html").is_file()


def test_a_run_that_is_killed_goes_on_under_its_number(tmp_path: Path) -> None:
    project = make_shop(tmp_path)
    settings = (tmp_path / "rollout.toml").read_text().replace("linear", "mlp")
    (tmp_path / "rollout.toml").write_text(settings)
    command = [*TRIMARAN, "run", "shop", "--by=anna"]
    kill_once(command, tmp_path, lambda: list(tmp_path.glob("runs/shop/*/checkpoint.pt")))
    assert project.states() == ["unfinished"]
    assert "shop/1 is unfinished" in project.refused("review", "shop/1", "--answers=answers.toml")
    assert "shop/1 is resumed" in project.call("run", "shop").stdout
    assert project.states() == ["pending"]
