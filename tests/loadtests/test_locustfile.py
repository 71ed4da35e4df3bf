"""The Locust file under Locust's own command."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

import pytest

from tests.running import PROJECT, Served
from trimaran.system.ports import free_ports

_LOCUSTFILE = PROJECT / "loadtests" / "locustfile.py"


def _locust(cwd: Path, *arguments: str, until: Collection[str] = ()) -> tuple[int, str]:
    """Locust's exit status and log; interrupted once it has counted a request of each name."""
    command = [sys.executable, "-m", "locust", "-f", str(_LOCUSTFILE), "--headless"]
    process = subprocess.Popen(
        [*command, "--run-time", "60s", "--stop-timeout", "10", *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    log, missing = "", set(until)
    try:
        assert process.stderr is not None
        for line in process.stderr:
            log += line
            missing -= set(re.findall(r"^\w+ +(\w+ \(\w+\)) +[1-9]", line))
            if until and not missing:
                process.send_signal(signal.SIGINT)
                break
        log += process.communicate(timeout=60)[1]
    finally:
        process.kill()
        process.wait()
    return process.returncode, log


def _server(served: Served) -> list[str]:
    ports = served.ports
    address = ["--host", f"http://{ports.host}:{ports.http}", "--grpc-port", str(ports.grpc)]
    return [*address, "--repository", str(served.repository.root)]


def _counts(directory: Path, name: str) -> dict[str, int]:
    """Requests without a failure by Locust's name, from its JSON."""
    entries = json.loads((directory / f"{name}.json").read_text())
    assert not any(entry["num_failures"] for entry in entries)
    return {entry["name"]: entry["num_requests"] for entry in entries}


def test_users_of_all_protocols_ask_every_ensemble(served: Served, tmp_path: Path) -> None:
    names = {f"image_classifier ({name})" for name in ("http", "json", "grpc")}
    status, log = _locust(
        tmp_path,
        *(*_server(served), "-u", "3", "-r", "3", "--target-rate", "30", "--json-file", "found"),
        until=names,
    )
    assert status == 0, log
    counts = _counts(tmp_path, "found")
    assert set(counts) == names
    assert all(counts.values())
    exact = re.search(r"exact latencies of (\d+) requests, 0 of them failed, in ms: p50 \d+\.\d{3}",
                      log)  # fmt: skip
    assert exact is not None
    assert int(exact[1]) == sum(counts.values())


@pytest.mark.long
def test_workers_send_what_their_leader_asks(churn_served: Served, tmp_path: Path) -> None:
    port = str(free_ports().http)
    command = [sys.executable, "-m", "locust", "-f", str(_LOCUSTFILE), "--worker"]
    worker = subprocess.Popen(
        [*command, "--master-port", port],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        stderr=subprocess.PIPE,
        text=True,
    )
    names = {"churn_record (grpc)", "churn (grpc)"}
    try:
        status, log = _locust(
            tmp_path,
            *("--master", "--master-bind-host", "127.0.0.1", "--master-bind-port", port),
            *(*_server(churn_served), "-u", "2", "-r", "2", "--model", "churn_record,churn"),
            *("--protocol", "grpc", "--target-rate", "20", "--json-file", "found"),
            until=names,
        )
        _, worker_log = worker.communicate(timeout=30)
    finally:
        worker.kill()
        worker.wait()
    assert status == 0, log
    counts = _counts(tmp_path, "found")
    assert set(counts) == names
    assert abs(counts["churn_record (grpc)"] - counts["churn (grpc)"]) <= 2
    assert "exact latencies of" in worker_log


def test_a_mistake_ends_locust_before_the_load(churn_served: Served, tmp_path: Path) -> None:
    status, log = _locust(tmp_path, *_server(churn_served), "--model", "nosuch", "-u", "1")
    assert status == 2
    assert "has no model 'nosuch'" in log
    assert "Traceback" not in log
