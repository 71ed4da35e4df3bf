"""The Locust file under Locust's own command."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from tests.running import PROJECT, Served
from trimaran.system.ports import free_ports

_LOCUSTFILE = PROJECT / "loadtests" / "locustfile.py"


def _locust(cwd: Path, *arguments: str, seconds: int = 3) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "locust", "-f", str(_LOCUSTFILE), "--headless"]
    return subprocess.run(
        [
            *command,
            "--only-summary",
            "--run-time",
            f"{seconds}s",
            "--stop-timeout",
            "10",
            *arguments,
        ],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def _server(served: Served) -> list[str]:
    ports = served.ports
    return ["--host", f"http://{ports.host}:{ports.http}", "--grpc-port", str(ports.grpc)]


def _counts(directory: Path, name: str) -> dict[str, int]:
    """Requests without a failure by Locust's name, from its JSON."""
    entries = json.loads((directory / f"{name}.json").read_text())
    assert not any(entry["num_failures"] for entry in entries)
    return {entry["name"]: entry["num_requests"] for entry in entries}


def test_users_of_all_protocols_ask_every_ensemble(served: Served, tmp_path: Path) -> None:
    result = _locust(
        tmp_path,
        *(*_server(served), "-u", "3", "-r", "3", "--target-rate", "30", "--json-file", "found"),
    )
    assert result.returncode == 0, result.stderr
    counts = _counts(tmp_path, "found")
    assert set(counts) == {f"image_classifier ({name})" for name in ("http", "json", "grpc")}
    assert all(counts.values())
    exact = re.search(r"exact latencies of (\d+) requests, 0 of them failed, in ms: p50 \d+\.\d{3}",
                      result.stderr)  # fmt: skip
    assert exact is not None
    assert int(exact[1]) == sum(counts.values())


def test_workers_are_told_by_their_leader_what_to_send(
    churn_served: Served, tmp_path: Path
) -> None:
    port = str(free_ports().http)
    command = [sys.executable, "-m", "locust", "-f", str(_LOCUSTFILE), "--worker"]
    worker = subprocess.Popen(
        [*command, "--master-port", port],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        result = _locust(
            tmp_path,
            *("--master", "--master-bind-host", "127.0.0.1", "--master-bind-port", port),
            *(*_server(churn_served), "-u", "2", "-r", "2", "--model", "churn_record,churn"),
            *("--protocol", "grpc", "--target-rate", "20", "--json-file", "found"),
        )
        _, told = worker.communicate(timeout=30)
    finally:
        worker.kill()
        worker.wait()
    assert result.returncode == 0, result.stderr
    counts = _counts(tmp_path, "found")
    assert set(counts) == {"churn_record (grpc)", "churn (grpc)"}
    assert abs(counts["churn_record (grpc)"] - counts["churn (grpc)"]) <= 2
    assert "exact latencies of" in told


def test_a_mistake_ends_locust_before_the_load(churn_served: Served, tmp_path: Path) -> None:
    result = _locust(tmp_path, *_server(churn_served), "--model", "nosuch", "-u", "1", seconds=60)
    assert result.returncode == 2
    assert "has no model 'nosuch'" in result.stderr
    assert "Traceback" not in result.stderr
