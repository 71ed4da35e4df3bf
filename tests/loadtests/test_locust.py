"""`trimaran locust` against real servers, with everything that may go wrong."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loadtests.commands.locust import locust
from loadtests.locusts.process import KEPT
from tests.running import PROJECT, TRIMARAN, Served, wait_for
from tests.trimaran.calling import call_trimaran
from tests.trimaran.serving.hosting import Model, hosted, tensor
from trimaran.stats.latency import least_requests, quantiles
from trimaran.system.errors import TrimaranError
from trimaran.system.ports import free_ports
from trimaran.system.processes import children, start_time

_COMMAND = "locust"
_ECHO = b"""
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        return [
            pb_utils.InferenceResponse(
                [pb_utils.Tensor("Y", pb_utils.get_input_tensor_by_name(request, "X").as_numpy())]
            )
            for request in requests
        ]
"""


def _address(served: Served) -> list[str]:
    ports = served.ports
    ports_given = ["--http-port", str(ports.http), "--grpc-port", str(ports.grpc)]
    return ["--host", ports.host, *ports_given, "--repository", str(served.repository.root)]


def _report(out: Path) -> dict[str, object]:
    report: dict[str, object] = json.loads((out / "report.json").read_text())
    return report


def _latencies_s(out: Path) -> np.ndarray:
    with (out / "requests.csv").open() as file:
        rows = list(csv.DictReader(file))
    return np.array([float(row["done_s"]) - float(row["sent_s"]) for row in rows])


def test_kept_gates_exact_latencies_and_every_file(churn_served: Served, tmp_path: Path) -> None:
    result = call_trimaran(
        *(_COMMAND, "churn", "--users", "3", "--duration", "3s", "--seed", "5", "--out", tmp_path),
        *("--p99-ms", "60000", "--min-rps", "1", "--max-error-ratio", "0"),
        *("--repository", churn_served.repository.root),
    )
    report = _report(tmp_path)
    (run,) = report["runs"]  # type: ignore[misc]
    assert run["requests"] == run["answered"] > 0
    enough = run["requests"] >= least_requests(0)  # on a busy machine it may be too few
    assert [gate["holds"] for gate in run["gates"]] == [enough, True, True]
    assert result.status == (0 if enough else 1), result.stderr
    assert "64 made-up records by field, seed 5" in result.stderr
    assert run["server_cpu_ms"] > 0
    steps = {step["model"]: step["requests"] for step in run["steps"]}
    assert steps["churn"] >= run["requests"]
    exact_ms = {name: s * 1e3 for name, s in quantiles(_latencies_s(tmp_path)).items()}
    assert run["latency_ms"] == pytest.approx(exact_ms, abs=2e-3)
    locust = report["figures"]["Locust's own, rounded"]  # type: ignore[index]
    assert locust["requests"] == run["requests"]
    for name in ("p50", "p99"):
        assert locust[f"{name} ms"] == int(locust[f"{name} ms"])
        assert locust[f"{name} ms"] == pytest.approx(run["latency_ms"][name], abs=1.1, rel=0.1)
    assert run["latency_ms"]["p50"] != int(run["latency_ms"]["p50"])
    for name in (*KEPT, "runs.csv", "report.html"):
        assert (tmp_path / name).stat().st_size, name
    with (tmp_path / "locust_stats.csv").open() as file:
        total = list(csv.DictReader(file))[-1]
    assert int(total["Request Count"]) == run["requests"]
    assert "exact" in result.stdout
    assert "closed loop" in result.stdout
    assert "trimaran bench" in result.stdout
    assert "Traceback" not in (tmp_path / "locust.log").read_text()


@pytest.mark.long
def test_two_processes_are_one_record_and_a_failed_gate_is_status_1(
    churn_served: Served, tmp_path: Path
) -> None:
    """With a shape, which changes how many users there are."""
    result = call_trimaran(
        *(_COMMAND, "churn_record", "--protocol", "grpc", "--users", "10", "--processes", "2"),
        *("--duration", "5s", "--shape", "spike", "--p99-ms", "0.001", "--out", tmp_path),
        *("--rate", "50", *_address(churn_served)),
    )
    assert result.status == 1, result.stderr + result.stdout
    report = _report(tmp_path)
    (run,) = report["runs"]  # type: ignore[misc]
    (gate,) = run["gates"]
    assert not gate["holds"]
    assert "too few requests: at least 459 are needed" in gate["words"]
    assert run["server_cpu_ms"] is None  # nobody said that the server is on this machine
    assert 0 < run["requests"] <= 50 * 5 + 10
    assert "FAILS p99" in result.stdout
    assert " 2 users" in result.stderr
    assert " 10 users" in result.stderr


@contextmanager
def _running(*arguments: str | Path) -> Iterator[subprocess.Popen[str]]:
    """The command in its own process group, as a terminal starts it."""
    process = subprocess.Popen(
        [*TRIMARAN, _COMMAND, *map(str, arguments)],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _wait_for_users(process: subprocess.Popen[str]) -> set[tuple[int, str]]:
    """Wait until requests were answered; Locust's processes, by id and start."""
    assert process.stderr is not None
    for line in process.stderr:
        found = re.search(r"users +([\d,]+) requests ", line)
        if found and found[1] != "0":
            break
    locusts = children(process.pid)
    locusts |= {below for pid in locusts for below in children(pid)}
    return {(pid, start_time(pid)) for pid in locusts}


def _all_gone(processes: set[tuple[int, str]]) -> bool:
    return all(start_time(pid) != started for pid, started in processes)


def test_ctrl_c_reports_what_was_measured(churn_served: Served, tmp_path: Path) -> None:
    with _running(
        *("churn_record", "--users", "2", "--rate", "40", "--duration", "10m", "--out", tmp_path),
        *("--processes", "2", *_address(churn_served)),
    ) as process:
        locusts = _wait_for_users(process)
        assert len(locusts) == 3
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 2, out + err
    assert "interrupted after" in out
    assert "Traceback" not in out + err
    (run,) = _report(tmp_path)["runs"]  # type: ignore[misc]
    assert run["invalid"].startswith("interrupted")
    assert run["answered"] > 0
    assert _all_gone(locusts)


@pytest.mark.long
def test_a_killed_command_leaves_no_locust_behind(churn_served: Served) -> None:
    with _running(
        *("churn_record", "--users", "2", "--rate", "20", "--duration", "10m"),
        *("--processes", "2", *_address(churn_served)),
    ) as process:
        locusts = _wait_for_users(process)
        process.kill()
        process.wait(30)
        wait_for(lambda: _all_gone(locusts), 20, "the end of Locust's processes")
    assert len(locusts) == 3


@pytest.mark.long
def test_a_server_that_dies_ends_the_run_and_leaves_what_was_measured(tmp_path: Path) -> None:
    model = Model(
        "echo",
        'backend: "python" max_batch_size: 8\n'
        + tensor("input", "X", "FP32", [4])
        + tensor("output", "Y", "FP32", [4]),
        {"model.py": _ECHO},
    )
    out = tmp_path / "out"
    with hosted(tmp_path, [model]) as server:
        ports = server.server.ports
        with _running(
            *("echo", "--users", "4", "--rate", "100", "--duration", "10m", "--out", out),
            *("--host", ports.host, "--http-port", str(ports.http)),
            *("--max-error-ratio", "1"),
        ) as process:
            locusts = _wait_for_users(process)
            server.server.process.kill()
            assert server.server.process.status == -signal.SIGKILL
            stdout, stderr = process.communicate(timeout=120)
    assert process.returncode == 2, stdout + stderr
    assert "nothing but failures any more" in stdout
    assert "Traceback" not in stdout + stderr
    (run,) = _report(out)["runs"]  # type: ignore[misc]
    assert 0 < run["answered"] < run["requests"]
    assert run["latency_ms"]["max"] is None
    assert _all_gone(locusts)


def test_what_cannot_be_measured_is_reported_in_one_sentence(
    churn_served: Served, tmp_path: Path
) -> None:
    nobody = {"host": "127.0.0.1", "http_port": free_ports().http}
    root = {"repository": churn_served.repository.root}
    wrong = tmp_path / "wrong.npz"
    np.savez(wrong, features=np.zeros((1, 2), np.float32))
    cases: list[tuple[str, dict[str, Any], str]] = [
        ("nosuch", root, "has no model 'nosuch'; it serves churn,"),
        ("churn", nobody, "no server answers at"),
        (
            "churn",
            {**root, "duration": "soon"},
            "--duration is 'soon'; expected a duration such as 30s",
        ),
        ("churn", {**root, "p99_ms": -1.0}, "--p99-ms is -1"),
        ("churn", {**root, "out": wrong / "below"}, "no files can be written there"),
        *(
            ("churn_onnx", {**root, "payloads": wrong, "protocol": name}, "unexpected shape")
            for name in ("http", "json", "grpc")
        ),
    ]
    for model, options, words in cases:
        with pytest.raises(TrimaranError, match=re.escape(words)) as raised:
            locust(model, **options)
        assert raised.value.exit_status == 2
