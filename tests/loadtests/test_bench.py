"""`trimaran bench` on real servers, and what becomes of its mistakes."""

from __future__ import annotations

import csv
import functools
import json
import os
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loadtests.generator.ceiling import generator_ceiling
from loadtests.payloads import draw_photographs
from tests.loadtests.knowing import connections, known_server
from tests.running import TRIMARAN, Served, wait_for
from tests.trimaran.calling import Outcome, call_trimaran
from trimaran.repository.config import format_config, read_config


def _bench(served: Served, *arguments: str | Path) -> Outcome:
    return call_trimaran("bench", *arguments, "--repository", served.repository.root)


def _report(outcome: Outcome) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(outcome.stdout)
    assert report["exit_status"] == outcome.status
    return report


@pytest.fixture(autouse=True)
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorter probes: how fast the generator is, and what both targets of `--vs` reach."""
    probe = functools.partial(generator_ceiling, seconds=0.1)
    monkeypatch.setattr("loadtests.commands.bench.generator_ceiling", probe)
    monkeypatch.setattr("loadtests.bench.compare._WARM_S", 0.2)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of two."""
    directory = tmp_path_factory.mktemp("photographs")
    for at, data in enumerate(draw_photographs(2, seed=1)):
        (directory / f"{at}.jpg").write_bytes(data)
    return directory


@pytest.mark.parametrize(
    "protocol",
    ["grpc", *(pytest.param(each, marks=pytest.mark.long) for each in ("http", "json", "shm"))],
)
def test_an_image_ensemble_over_every_protocol(
    served: Served, photographs: Path, protocol: str
) -> None:
    options = ("--protocol", protocol, "--closed", "--connections", "2", "--duration", "200ms")
    drawn = protocol == "http"
    payloads = () if drawn else ("--payloads", photographs)
    report = _report(_bench(served, "image_classifier", *options, *payloads, "--json"))
    run = report["runs"][0]
    source = "64 JPEG photographs, seed 0" if drawn else str(photographs)
    assert report["about"]["payloads"].startswith(source)
    assert run["requests"] == run["answered"] > 0
    assert run["server_cpu_ms"] > 0
    steps = {step["model"]: step for step in run["steps"]}
    assert set(steps) == {
        "image_classifier",
        "image_preprocess",
        "efficientnet_lite0_onnx",
        "image_labels",
    }
    for step in steps.values():
        assert step["requests"] == run["answered"]
    assert steps["efficientnet_lite0_onnx"]["compute_infer_ms"] > 0


def test_records_by_field_and_as_text(churn_served: Served) -> None:
    for model, source in (("churn", "by field"), ("churn_record", "as JSON text")):
        options = ("--protocol", "generate", "--rate", "50", "--duration", "300ms", "--json")
        report = _report(_bench(churn_served, model, *options))
        assert source in report["about"]["payloads"]
        assert report["runs"][0]["answered"] == report["runs"][0]["requests"] > 0


def test_several_rows_a_request_and_a_version_by_number(churn_served: Served) -> None:
    options = ("--batch", "8", "--closed", "--duration", "300ms", "--json")
    run = _report(_bench(churn_served, "churn_record:1@grpc", *options))["runs"][0]
    assert run["rows"] == 8
    assert run["steps"][0]["version"] == "1"


@pytest.mark.long
def test_the_profile_and_its_files(served: Served, tmp_path: Path) -> None:
    out = tmp_path / "report"
    outcome = _bench(served, "linear_onnx", "--duration", "200ms", "--out", out)
    assert "random numbers" in outcome.stderr
    report = json.loads((out / "report.json").read_text())
    assert outcome.status == report["exit_status"]
    loads = [run["load"] for run in report["runs"]]
    assert loads[:2] == ["16 connections", "1 connection"]
    assert [re.search(r"\((\d+ %|\d+%)\)", load) is not None for load in loads[2:]] == [True] * 4
    assert "unloaded median, ms" in report["figures"]
    with (out / "requests.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == sum(run["requests"] for run in report["runs"])
    page = (out / "report.html").read_text()
    assert "<svg" in page
    assert 'src="http' not in page


def test_gates_decide_the_exit_status(served: Served) -> None:
    options = ("linear_onnx", "--closed", "--duration", "200ms", "--json")
    kept = _bench(served, *options, "--min-rps", "1", "--max-error-ratio", "0.5")
    assert kept.status == 0, kept.stdout
    broken = _bench(served, *options, "--p99-ms", "0.001")
    assert broken.status == 1
    gate = _report(broken)["runs"][0]["gates"][0]
    assert gate["name"] == "p99"
    assert gate["holds"] is False


@pytest.mark.long
def test_the_search_needs_a_bound_and_says_where_none_holds(served: Served) -> None:
    assert "--p99-ms" in _bench(served, "linear_onnx", "--find-max").error
    outcome = _bench(
        served, "linear_onnx", "--find-max", "--p99-ms", "0.001", "--duration", "100ms", "--json"
    )
    assert outcome.status == 1
    words = _report(outcome)["runs"][0]["gates"][0]["words"]
    assert words == "no rate keeps 99 % of the requests within 0.001 ms"


@pytest.mark.long
def test_two_targets_in_turn(churn_served: Served) -> None:
    """Eight rows in one call against one: so much apart that any machine shows it."""
    outcome = _bench(
        churn_served, "churn_record@generate", "--vs", "churn@generate",
        "--turns", "2", "--duration", "200ms", "--json",
    )  # fmt: skip
    report = _report(outcome)
    if not report["invalid"]:
        ratio = report["figures"]["CPU, churn_record@generate / churn@generate"]
        assert ratio["low"] <= ratio["value"] <= ratio["high"] < 1.0
    assert outcome.status == (2 if report["invalid"] else 0)


@pytest.mark.long
def test_a_model_and_itself_with_another_configuration(served: Served, tmp_path: Path) -> None:
    config = read_config(served.repository.config_path("linear_onnx"))
    config.instance_group[0].count = 2
    path = tmp_path / "config.pbtxt"
    path.write_text(format_config(config))
    outcome = _bench(
        served, "linear_onnx", "--vs", "linear_onnx", "--vs-config", path,
        "--turns", "2", "--duration", "100ms", "--json",
    )  # fmt: skip
    names = {run["target"] for run in _report(outcome)["runs"]}
    assert "linear_onnx_variant@http" in outcome.stderr or "linear_onnx_variant@http" in names
    assert "linear_onnx_variant" not in {
        item.name for item in served.control.index() if item.state == "READY"
    }


def test_any_url_with_a_payload(tmp_path: Path) -> None:
    payload = tmp_path / "rows.jsonl"
    payload.write_text('{"a": 1}\n{"a": 2}\n')
    with known_server(0.001) as (process, port):
        outcome = call_trimaran(
            "bench", f"http://127.0.0.1:{port}/predict", "--payloads", payload,
            "--pid", str(process.pid), "--rate", "100", "--duration", "500ms", "--json",
        )  # fmt: skip
    run = _report(outcome)["runs"][0]
    assert run["answered"] == run["requests"] > 20
    assert run["latency_ms"]["p50"] >= 1.0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nothing",), "has no model 'nothing'; it serves"),
        (("linear_onnx:99",), "linear_onnx has no ready version 99"),
        (("linear_onnx@smoke",), "there is no protocol 'smoke'; choose from http, json"),
        (("linear_onnx", "--rate", "1e7"), "the generator carries"),
        (("linear_onnx", "--rate", "-1"), "--rate is -1; give more than 0"),
        (("linear_onnx", "--rate", "1", "--closed"), "give one of --rate, --find-max and --closed"),
        (("linear_onnx", "--batch", "1000"), "linear_onnx takes at most"),
        (
            ("linear_onnx", "--duration", "0s"),
            "--duration is '0s'; expected a duration such as 30s",
        ),
        (("linear_onnx", "--connections", "0"), "--connections is 0; give at least 1"),
        (("linear_onnx", "--turns", "1"), "--turns is 1; an interval needs at least 2"),
        (("linear_onnx", "--protocol", "generate"), "x has 8 values, and generate takes one"),
        (("linear_onnx", "--vs", "linear_onnx", "--closed"), "--vs takes turns"),
        (("linear_onnx", "--vs", "linear_onnx", "--p99-ms", "5"), "--max-p99-ratio"),
        (("peers", "--vs", "linear_onnx"), "is now 'python -m proofs.peers'"),
        (
            ("linear_onnx", "--peer", "fastapi"),
            "--peer' is now an option of 'python -m proofs.peers'",
        ),
        (("linear_onnx", "--min-rate-ratio", "1"), "--min-rate-ratio goes with --vs"),
        (("image_preprocess:", "--closed"), "names no target"),
    ],
)
def test_mistakes_are_one_sentence_and_status_2(
    served: Served, arguments: tuple[str, ...], words: str
) -> None:
    outcome = _bench(served, *arguments)
    assert words in outcome.error
    assert outcome.status == 2


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_a_payload_of_another_shape_is_refused_with_the_servers_message(
    served: Served, tmp_path: Path, protocol: str
) -> None:
    rows = tmp_path / "rows.npz"
    np.savez(rows, x=np.zeros((1, 3), np.float32))
    outcome = _bench(served, "linear_onnx", "--protocol", protocol, "--payloads", rows, "--closed")
    assert outcome.status == 2
    assert "1 of 1 payloads" in outcome.error
    assert "[-1,8], got [1,3]" in outcome.error


def test_a_missing_server_is_reported_with_the_remedy(served: Served, tmp_path: Path) -> None:
    (tmp_path / "model_repository").mkdir()
    outcome = call_trimaran("bench", "linear_onnx", cwd=tmp_path)
    assert outcome.status == 2
    assert "start one with 'trimaran serve'" in outcome.error
    with known_server(0.001) as (process, port):
        process.kill()
        process.wait()
        outcome = call_trimaran("bench", f"http://127.0.0.1:{port}/", "--closed")
    assert outcome.status == 2
    assert f"no server answers at 127.0.0.1:{port}" in outcome.error


def test_a_server_that_dies_makes_the_run_invalid_and_keeps_its_requests(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with known_server(0.001, count=60) as (process, port):
        outcome = call_trimaran(
            "bench", f"http://127.0.0.1:{port}/", "--rate", "200", "--duration", "5s", "--out", out
        )
        assert process.wait(10) == 0
    assert outcome.status == 2
    assert "the server went away after" in outcome.stdout
    report = json.loads((out / "report.json").read_text())
    assert 40 < report["runs"][0]["answered"] < 70
    assert len((out / "requests.csv").read_text().splitlines()) == report["runs"][0]["requests"] + 1


def test_an_interrupt_reports_what_was_measured(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with known_server(0.001) as (_, port):
        command = [*TRIMARAN, "bench", f"http://127.0.0.1:{port}/", "--rate", "200"]
        process = subprocess.Popen(
            [*command, "--duration", "60s", "--out", str(out)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr
        assert "the generator carries" in process.stderr.readline()
        # The warm-up has two connections; the measurement begins with many.
        wait_for(lambda: connections(port, process.pid) >= 32, 20, "load")
        os.kill(process.pid, signal.SIGINT)
        stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == 2
    assert "interrupted after" in stdout
    assert "Traceback" not in stderr
    assert json.loads((out / "report.json").read_text())["runs"][0]["invalid"].startswith(
        "interrupted"
    )
