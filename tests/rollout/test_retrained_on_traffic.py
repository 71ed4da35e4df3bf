"""A model that is trained again since its data shifted, and goes live by a canary, with no one."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import urllib3

from proofs.page_files import make_contracts
from tests.gateway.door import Door
from tests.rollout.live_shop import sqlite_at
from tests.rollout.project import live_contracts
from tests.running import TRIMARAN, kill_once, repeating, start_serving, wait_for
from trimaran.rollout.traffic.split import splits_of

pytestmark = pytest.mark.long

SETTINGS = """
[contracts]
table = "contracts.csv"

[contracts.train]
target = "left"
model = "linear"
time = "seen_on"

[contracts.retrain]
cool_down = "1s"
then = "canary"

[contracts.retrain.triggers]
drift = 0.2

[contracts.retrain.canary]
steps = "50,100"
each = "3s"
more-errors = 5
longer-p99 = 0
answers = "approved.toml"
"""


@contextmanager
def asking(door: Door) -> Iterator[list[int]]:
    """One client asks during the block: the statuses of its answers."""
    statuses: list[int] = []
    record = {"seen_on": "2025-09-01", "tenure": 40, "contract": "month"}
    headers = door.bearer("infer:contracts")

    def ask(over: threading.Event) -> None:
        while not over.is_set():
            try:
                path = "/models/contracts/predict"
                statuses.append(door.ask("POST", path, record=record, headers=headers).status)
            except urllib3.exceptions.HTTPError:
                statuses.append(0)

    with repeating(ask):
        yield statuses


def test_shifted_data_begin_a_canary_which_goes_on_when_it_is_killed_and_is_promoted(
    tmp_path: Path,
) -> None:
    project = live_contracts(tmp_path, SETTINGS)
    make_contracts(tmp_path / "contracts.csv", 1200, later=True)

    assert "no gateway runs on" in project.fails("retrain", "--due")
    assert project.states() == ["deployed", "pending"]
    retraining = [*TRIMARAN, "retrain", "--due", "--by=anna"]
    serving = start_serving(project.repository)
    door = Door(project.repository, tmp_path / "gateway.toml")
    try:
        door.until_said("Press Ctrl-C to stop", 120)
        with asking(door) as statuses:
            kill_once(retraining, tmp_path, lambda: splits_of(project.repository))
            refused = project.fails("deploy", "contracts")
            assert refused.startswith("contracts 2 serves contracts/2, which is pending; review")
            assert (project.states(), project.live()) == (["deployed", "pending"], 1)
            done = subprocess.run(
                retraining, cwd=tmp_path, capture_output=True, text=True, timeout=300
            )
            answered = len(statuses)
            wait_for(lambda: len(statuses) > answered + 20, 30, "answers of the new release")
        assert done.returncode == 0, done.stderr
        assert set(statuses) == {200}
    finally:
        door.stop()
        serving.stop()
    assert (project.states(), project.live()) == (["replaced", "deployed"], 2)
    assert project.live("contracts_record") == 2
    told = project.told("contracts/2")
    assert [line.split()[0] for line in told] == [
        *("began", "compared", "finished", "prepared", "tried", "reviewed", "began", "deployed")
    ]
    assert told[4].startswith(
        "tried contracts/2 on live traffic, experiment contracts/1: promote: "
    )
    results = sqlite_at(project.repository.state / "results.db")
    assert results.rows("SELECT DISTINCT run FROM contracts_current") == [("contracts/2",)]
    explained = (tmp_path / "runs/contracts/run-2/explanations.jsonl").read_text().splitlines()
    assert {"baseline", "reasons", "row"} <= json.loads(explained[0]).keys()
    assert "contracts/1: promote" in (tmp_path / "runs/contracts/run-2/model_card.md").read_text()
