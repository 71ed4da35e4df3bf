"""Retraining as a timer and a workflow run it: the files that are shipped and shown for it."""

from __future__ import annotations

import configparser
import json
import os
import shlex
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from proofs.page_files import make_contracts
from proofs.pages import blocks
from tests.programs import require
from tests.rollout.project import Project, live_contracts
from tests.running import PROJECT, TRIMARAN, kill_once, wait_for
from tests.trimaran.calling import call_trimaran
from trimaran.rollout.ledger import Ledger
from trimaran.rollout.retraining.units import SERVICE, TIMER, units
from trimaran.rollout.runs.decisions import ledger_of

PAGE = PROJECT / "docs" / "retraining.md"
KILLED_ONCE_THERE_IS = (
    "runs/contracts/run-2",
    "runs/contracts/run-2/data.html",
    "runs/contracts/run-2/readiness.json",
    ".trimaran/model_repository/staging/*/content",
)
"""What a retraining writes, in its order: its folder, the trained run, and what it exports."""


def page_block(language: str, holds: str) -> str:
    """The first block of the page in a language that holds a text."""
    found = (block for block in blocks(PAGE) if block.language == language)
    return next("\n".join(each.lines) for each in found if holds in "\n".join(each.lines))


def workflow_steps() -> list[dict[str, Any]]:
    workflow = yaml.safe_load(page_block("yaml", "runs-on"))
    assert workflow[True]["schedule"] == [{"cron": "17 3 * * *"}]  # YAML 1.1 reads `on` so
    assert workflow["permissions"] == {"contents": "read"}
    steps: list[dict[str, Any]] = workflow["jobs"]["retrain"]["steps"]
    return steps


def test_the_units_run_what_is_due_in_the_folder_as_its_user() -> None:
    texts = units(["/opt/a b/python", "-m", "trimaran", '--x=50%$"'], Path("/srv/50% of"), "bo")
    service, timer = (configparser.RawConfigParser() for _ in range(2))
    service.read_string(texts[SERVICE])
    timer.read_string(texts[TIMER])
    assert service["Service"]["User"] == "bo"
    assert service["Service"]["WorkingDirectory"] == "/srv/50%% of"
    assert service["Service"]["ExecStart"] == (r'"/opt/a b/python" -m trimaran "--x=50%%$$\""')
    assert timer["Timer"]["OnCalendar"] == "hourly"


def test_the_command_of_the_units_is_one_that_trimaran_takes(tmp_path: Path) -> None:
    """Without a `rollout.toml` it says so, in one sentence."""
    done = call_trimaran("retrain", "--timer", "units", cwd=tmp_path)
    assert f"systemctl enable --now {TIMER}" in done.stdout
    service = configparser.RawConfigParser()
    service.read(tmp_path / "units" / SERVICE)
    words = shlex.split(service["Service"]["ExecStart"])
    assert words[1:5] == ["-m", "trimaran", "retrain", "--due"]
    error = call_trimaran(*words[3:], cwd=Path(service["Service"]["WorkingDirectory"])).error
    assert error == "no name has a table [NAME.retrain] in rollout.toml; add one"


def test_the_workflow_asks_nothing_of_the_network_but_its_checkout_and_pip() -> None:
    steps = workflow_steps()
    assert [step["uses"] for step in steps if "uses" in step] == ["actions/checkout@v4"]
    for step in steps:
        command = step.get("run", "")
        assert "://" not in command
        assert command.startswith((".venv/bin/trimaran ", "python3 -m venv", ".venv/bin/pip ", ""))


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the page, with its first run live."""
    folder = tmp_path_factory.mktemp("contracts")
    live_contracts(folder, page_block("toml", "# rollout.toml"))
    return folder


@pytest.fixture
def contracts(deployed: Path, tmp_path: Path) -> Project:
    shutil.copytree(deployed, tmp_path, symlinks=True, dirs_exist_ok=True)
    return Project(tmp_path, "contracts")


@pytest.mark.long
def test_the_workflow_brings_a_commit_to_what_is_live_and_keeps_what_is_worse_away(
    contracts: Project,
) -> None:
    """The commands of each event, in order, as the shell of a runner gets them."""
    folder = contracts.folder
    (folder / ".venv").symlink_to(Path(TRIMARAN[0]).parent.parent)
    environment = {
        **os.environ,
        "TRIMARAN_REPOSITORY": str(contracts.repository.root),
        "TRIMARAN_USER": "ci",
    }

    def job(event: str) -> int:
        for step in workflow_steps():
            mine = step.get("if", f"github.event_name == '{event}'")
            command = step.get("run", "").replace("/srv/models", str(folder))
            installs = command.startswith(("python3 -m venv", ".venv/bin/pip"))
            if command and not installs and mine == f"github.event_name == '{event}'":
                done = subprocess.run(["bash", "-ec", command], cwd=folder, env=environment)
                if done.returncode:
                    return done.returncode
        return 0

    assert job("push") == 0
    assert job("schedule") == 0
    assert contracts.states() == ["deployed"]  # nothing was to be learnt
    make_contracts(folder / "contracts.csv", 1200, later=True)
    assert job("schedule") == 0
    assert (contracts.states(), contracts.live()) == (["replaced", "deployed"], 2)
    assert [line.split()[0] for line in contracts.told("contracts/2")] == [
        *("began", "compared", "finished", "reviewed", "began", "prepared", "deployed")
    ]
    settings = folder / "rollout.toml"
    settings.write_text(settings.read_text().replace('"linear"', '"forest"'))
    assert job("push") == 3
    assert (contracts.states(), contracts.live()) == (["replaced", "deployed", "pending"], 2)


@pytest.mark.long
def test_a_retraining_that_is_killed_again_and_again_ends_under_one_number(
    contracts: Project,
) -> None:
    make_contracts(contracts.folder / "contracts.csv", 1200, later=True)
    command = [*TRIMARAN, "retrain", "--due", "--by=anna"]
    folder = contracts.folder
    for pattern in KILLED_ONCE_THERE_IS:
        kill_once(command, folder, lambda pattern=pattern: next(folder.glob(pattern), None))
        assert contracts.states()[1:] == ["unfinished"]
    assert subprocess.run(command, cwd=folder).returncode == 0
    assert contracts.states() == ["deployed", "pending"]
    told = [line.split()[0] for line in contracts.told("contracts/2")]
    assert (told.count("began"), told.count("finished")) == (1, 1)
    report = json.loads((contracts.folder / "runs/contracts/run-2/comparison.json").read_text())
    assert report["failed"] == []
    assert [gate["name"] for gate in report["gates"]] == [
        *("beats the live run", "slices", "parity", "latency")
    ]


@pytest.mark.long
def test_a_clock_that_was_set_back_is_told_and_the_time_counts_from_there(
    contracts: Project,
) -> None:
    settings = contracts.folder / "rollout.toml"
    text = settings.read_text().partition("[contracts.retrain.triggers]")[0]
    settings.write_text(text.replace('"monthly"', '"every 2s"'))
    ahead = Ledger(
        ledger_of(contracts.repository).directory,
        lambda: datetime.now(UTC) + timedelta(days=900),
    )
    with ahead.writing() as writer:
        writer.add("anna", "begun", "contracts/2", {"data": "contracts.csv", "asked": "other"})
    make_contracts(contracts.folder / "contracts.csv", 1200, later=True)
    first = contracts.call("retrain", "--due").stdout
    assert "the clock was set back; the time counts from now" in first
    assert contracts.told("contracts")[-1].startswith("noticed that the clock was set back")
    looking = ("retrain", "--due", "--dry-run")
    wait_for(lambda: "every 2s since" in contracts.call(*looking).stdout, 30, "the next turn")


@pytest.mark.long
def test_systemd_takes_the_units(tmp_path: Path) -> None:
    for name, text in units([*TRIMARAN, "retrain", "--due"], tmp_path, "root").items():
        (tmp_path / name).write_text(text)
    program = require("systemd-analyze")
    done = subprocess.run(
        [program.path, "verify", tmp_path / SERVICE, tmp_path / TIMER],
        capture_output=True,
        text=True,
        env={**os.environ, **program.environment},
    )
    assert (done.returncode, done.stderr) == (0, "")
