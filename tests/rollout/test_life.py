"""The life of a run of the trained churn models, with a real server."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.rollout.project import Project, answers
from trimaran.repository.repository import Repository
from trimaran.rollout.runs.deploying import deploy_run
from trimaran.rollout.runs.families.known import figures_of
from trimaran.rollout.runs.settings import Plan, read_settings
from trimaran.rollout.runs.training import begin, finish, one_at_a_time
from trimaran.system.errors import TrimaranError
from trimaran.training.tabular.data.sources import mlc_churn
from trimaran.training.tabular.runs.trained import latest_run

SETTINGS = """
[churn]
table = "churn"
approvals = 2

[roles]
review = ["anna", "bo"]
deploy = ["bo"]
"""


class Interrupted(BaseException):
    """A process that ends in the middle."""


@pytest.fixture
def project(churn_trained: Path, tmp_path: Path) -> Project:
    """A pending run of what was trained, exported, published and released."""
    shutil.copytree(churn_trained / "model_repository", tmp_path / "model_repository")
    (tmp_path / "rollout.toml").write_text(SETTINGS)
    (tmp_path / "answers.toml").write_text(answers())
    made = Project(tmp_path, "churn")
    trained = latest_run(churn_trained / "runs" / "churn")
    assert trained is not None
    begun = begin(made.repository, Plan("churn", "churn"), "churn", "anna")
    own = tmp_path / "runs" / "churn" / "run-1"
    reports = {"data": own / "data.html", "results": trained.directory / "report.html"}
    figures = figures_of(trained.directory)
    finish(made.repository, begun, "anna", figures, trained.directory, reports)
    return made


def made_before(
    directory: Path, formats: Sequence[str], repository: Repository
) -> Mapping[str, int]:
    """What stands of the run already."""
    assert directory.is_dir()
    assert formats == ("onnx",)
    return {"churn": 1, "churn_record": 1}


def test_a_run_is_reviewed_deployed_and_persisted_and_predicts_new_rows(project: Project) -> None:
    folder, repository = project.folder, project.repository
    assert project.refused("deploy", "churn/1", by="bo").startswith("churn/1 was not reviewed")
    (folder / "gap.toml").write_text(answers(bias=""))
    gap = project.refused("review", "churn/1", "--answers=gap.toml")
    assert gap == "gap.toml: bias has no answer; write yes, no, n/a"
    (folder / "no.toml").write_text(answers(compliance="no"))
    project.call("review", "churn/1", "--answers=no.toml")
    for command in ("deploy", "approve"):
        assert "says no to compliance" in project.refused(command, "churn/1", by="bo")
    project.call("review", "churn/1", "--answers=answers.toml")
    assert "needs 2 people" in project.refused("deploy", "churn/1", by="bo")
    assert "anna stands behind churn/1 already" in project.refused("approve", "churn/1")
    project.call("approve", "churn/1", by="bo")
    assert "anna may not deploy a run" in project.refused("deploy", "churn/1", "--persist")

    with one_at_a_time(repository, "churn"):
        busy = project.refused("deploy", "churn/1", by="bo")
    assert busy.startswith("another command is running or deploying a run of churn")

    settings = read_settings(folder / "rollout.toml")

    def interrupt(step: str) -> None:
        if step.startswith("churn: release 1 is live"):  # the ledger does not say so yet
            raise Interrupted

    with pytest.raises(Interrupted):
        deploy_run(repository, settings, "churn/1", "bo", made_before, persist=True, say=interrupt)
    assert project.live() == 1
    assert project.told("churn/1")[-1] == "prepared churn/1: churn 1, churn_record 1"
    assert project.states() == ["persisted"]
    project.call("run", "churn", "--data=" + str(new_rows(folder)))
    assert "deployed churn/1, and persisted it" in project.told("churn/1")
    with pytest.raises(TrimaranError, match="churn/1 is persisted, and only a pending run"):
        deploy_run(repository, settings, "churn/1", "bo", made_before)
    card = (folder / "runs/churn/run-1/model_card.md").read_text()
    for line in (
        "Reviewed by anna",
        "Approved by bo",
        "Deployed by bo",
        "| churn_onnx | 1 | onnx",
        "(ONNX Runtime, one thread)",
    ):
        assert line in card

    first, second = project.records()
    assert (first["state"], second["state"]) == ("persisted", "pending")
    assert (second["predicts_with"], second["rows"]) == ("churn/1", {"new": 300})
    metrics = json.loads((folder / second["directory"] / "metrics.json").read_text())
    found = {each["feature"]: each["verdict"] for each in metrics["drift"]}
    assert (found["total_day_minutes"], found["total_eve_minutes"]) == ("drift", "stable")

    project.call("ignore", "churn/2", "--why=shifted")
    for done, *command in (
        ("ignored", "ignore", "churn/2", "--why=so"),
        ("reviewed", "review", "churn/2", "--answers=answers.toml"),
        ("approved", "approve", "churn/2"),
    ):
        said = f"churn/2 is ignored, and only a pending run can be {done}; "
        assert project.refused(*command).startswith(said)
    folder_given = project.refused("run", "churn", "--train", "--data=runs")
    assert folder_given == "--data runs is a folder, and churn is trained on a table; name a file"
    assert project.states() == ["persisted", "ignored"]
    assert project.told("churn/2")[-1] == "ignored churn/2: shifted"


def new_rows(folder: Path) -> Path:
    """Customers whose outcome is not known, and who telephone more by day."""
    rows = mlc_churn().sample(300, random_state=1).drop(columns="churn")
    rows["total_day_minutes"] *= 1.5
    rows.to_csv(folder / "new.csv", index=False)
    return folder / "new.csv"
