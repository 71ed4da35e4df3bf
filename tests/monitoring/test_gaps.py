"""What a report says of a window in which models and servers came and went."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.monitoring.conftest import Watched, served_and_watched
from tests.running import Served, start_serving, wait_for
from tests.trimaran.calling import call_trimaran
from trimaran.repository.config import read_config, write_config
from trimaran.repository.repository import Repository

WINDOW_S = 300


@pytest.fixture
def restless(exported: Repository, tmp_path: Path) -> Iterator[Watched]:
    """One small model on a server of its own, with a second one that is not loaded."""
    repository = Repository.create(tmp_path / "model_repository")
    for name in ("linear_onnx", "renamed_onnx"):
        shutil.copytree(exported.root / "linear_onnx", repository.root / name)
        config = read_config(repository.config_path(name))
        config.name = name
        write_config(repository.config_path(name), config)
    with served_and_watched(repository, "--model", "linear_onnx", interval_s=0.2) as watched:
        yield watched


def ask(served: Served, model: str, requests: int) -> None:
    with served.client() as client:
        for _ in range(requests):
            client.infer(model, {"x": np.zeros((1, 8), np.float32)})


def report(watched: Watched) -> dict[str, Any]:
    outcome = call_trimaran(
        "monitor", "report", "--window", f"{WINDOW_S}s", "--json", "--repository", watched.root
    )
    return dict(json.loads(outcome.stdout))


def requests_of(found: dict[str, Any], model: str) -> float:
    (line,) = [line for line in found["lines"] if line["model"] == model]
    return float(line["figures"]["request_rate"]) * WINDOW_S


@pytest.mark.long
def test_nothing_is_counted_twice_when_models_and_servers_come_and_go(restless: Watched) -> None:
    control = restless.served.control
    ask(restless.served, "linear_onnx", 40)
    restless.scraped()
    control.unload("linear_onnx")
    restless.scraped()
    control.load("linear_onnx")
    ask(restless.served, "linear_onnx", 20)
    restless.scraped()
    found = report(restless)
    assert any("linear_onnx version 1 was reloaded 1 times" in note for note in found["notes"])
    # Prometheus extrapolates a rate to the window's ends, by half an interval at the most.
    carried_on = 1.5
    assert 55 <= requests_of(found, "linear_onnx") <= 60 * carried_on

    control.load("renamed_onnx")
    restless.scraped()
    ask(restless.served, "renamed_onnx", 10)
    control.unload("linear_onnx")
    restless.scraped()
    found = report(restless)
    assert 55 <= requests_of(found, "linear_onnx") <= 60 * carried_on
    assert 9 <= requests_of(found, "renamed_onnx") <= 10 * carried_on

    restless.served.process.kill()
    restless.served.process.wait(30)
    restless.eventually('up{job="triton"} == bool 0', lambda down: down == 1, 20)
    short = ("monitor", "report", "--window", "1s", "--repository", restless.root)
    nothing = wait_for(lambda: [r for r in [call_trimaran(*short)] if r.status == 2], 20, "no data")
    assert nothing[0].stdout.startswith("no data: ")
    assert "no objective is recorded" not in nothing[0].stdout
    restless.served.stop()
    restless.served = start_serving(restless.served.repository, "--model", "linear_onnx")
    restless.scraped()
    ask(restless.served, "linear_onnx", 30)
    restless.scraped()
    found = report(restless)
    assert any("of the scrapes of triton in the window failed" in note for note in found["notes"])
    assert 80 <= requests_of(found, "linear_onnx") <= 90 * carried_on
