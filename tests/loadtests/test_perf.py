"""perf_analyzer itself, on a real server of small models whose answers and times are known."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import urllib3

from loadtests.bench.block import closed_block
from loadtests.bench.target import Payloads, Wanted, open_target
from loadtests.payloads import Rows
from loadtests.perf.binary import ENVIRONMENT_VARIABLE, PerfAnalyzer, find_perf_analyzer
from loadtests.perf.load import Load
from loadtests.perf.measure import measure
from loadtests.subject import Service
from tests.loadtests.known_models import PERIOD_S, STEADY_ROW, make_repository, sealed
from tests.programs import require
from tests.running import PROJECT, TRIMARAN, wait_for
from tests.trimaran.calling import call_trimaran
from trimaran.repository.presence import announce
from trimaran.repository.repository import Repository
from trimaran.serving.access import http_headers
from trimaran.serving.client import Client
from trimaran.serving.runtime import find_runtime
from trimaran.serving.server import Server, private_server
from trimaran.system.errors import TrimaranError
from trimaran.system.processes import children


@pytest.fixture(scope="module")
def tool() -> PerfAnalyzer:
    require("perf_analyzer")
    return find_perf_analyzer()


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    return make_repository(tmp_path_factory.mktemp("perf"), "steady", "checker", "twice", "long")


@pytest.fixture(scope="module")
def server(repository: Repository) -> Iterator[Server]:
    with (
        private_server(find_runtime(), repository, repository.names()) as running,
        announce(repository, running.process.pid, running.ports, running.secret),
        Client(running.endpoint) as client,
    ):
        client.infer("steady", STEADY_ROW)  # the first request of a model is slower
        client.infer("twice", sealed(b"first"))
        yield running


def _service(server: Server) -> Service:
    return Service(server.endpoint, server.control, server.process.pid, secret=server.secret)


def _elsewhere(server: Server) -> list[str]:
    return [
        "--host=127.0.0.1",
        f"--http-port={server.ports.http}",
        f"--grpc-port={server.ports.grpc}",
    ]


ROWS = Rows(
    [sealed(b"\0\1\xff\xfe" * 5, 1.5, -2.0, 1e-9), sealed("für ".encode(), 0.0, 3.25, -0.0)],
    "sealed",
)


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_both_generators_send_to_the_same_model(
    tool: PerfAnalyzer, server: Server, tmp_path: Path, protocol: str
) -> None:
    """The model answers one request in each period, so no figure can be better than that."""
    service, rows = _service(server), tmp_path / "rows.json"
    rows.write_text(json.dumps({"TEXT": "any"}))
    load = Load(
        "steady", protocol="grpc" if protocol == "grpc" else "http", connections=4, seconds=1.2
    )
    theirs, _ = measure(tool, service, service.models("steady"), load, Rows([STEADY_ROW], "any"))
    assert (theirs.loop, theirs.load) == ("closed", "4 connections")
    (step,) = theirs.steps
    assert 0 < theirs.requests == theirs.answered <= step.requests
    assert theirs.requests <= theirs.seconds / PERIOD_S + load.connections
    assert theirs.rate == pytest.approx(theirs.requests / theirs.seconds)
    assert theirs.latency_ms["p50"] >= PERIOD_S * 1e3
    with open_target(Wanted("steady", "", protocol), service, Payloads(given=rows)) as target:
        ours = closed_block(target, connections=4, seconds=0.5)
    assert ours.outcome.good.all()
    (step,) = ours.run.steps
    assert ours.run.requests == step.requests > 0
    assert ours.run.requests <= ours.outcome.wall_s / PERIOD_S + 1
    assert ours.run.latency_ms["p50"] >= PERIOD_S * 1e3


@pytest.mark.parametrize(("protocol", "batch"), [("http", 1), ("grpc", 2)])
def test_texts_and_numbers_arrive_as_they_were(
    tool: PerfAnalyzer, server: Server, protocol: str, batch: int
) -> None:
    service = _service(server)
    load = Load(
        "checker",
        "1",
        protocol="grpc" if protocol == "grpc" else "http",
        batch=batch,
        seconds=1.2,
    )
    run, _ = measure(tool, service, service.models("checker"), load, ROWS)
    assert run.requests == run.answered > 0
    assert run.rows == batch
    assert run.server_cpu_ms is not None
    assert run.generator_cpu_ms is not None


def test_shared_memory_carries_them_too(tool: PerfAnalyzer, server: Server) -> None:
    service, load = _service(server), Load("twice", seconds=1.2, shared_memory=True)
    run, _ = measure(
        tool, service, service.models("twice"), load, Rows([sealed(b"\0text")], "sealed")
    )
    assert run.answered > 0
    assert run.protocol == "http, shared memory"
    assert not _regions()


def test_rows_with_and_without_an_optional_input_take_turns(
    tool: PerfAnalyzer, server: Server
) -> None:
    service, load = _service(server), Load("checker", protocol="grpc", rate=50.0, seconds=1.2)
    rows = Rows([*ROWS.rows, sealed(b"alone")], "sealed")
    run, _ = measure(tool, service, service.models("checker"), load, rows)
    assert run.answered > 0
    assert (run.loop, run.load) == ("open", "50 requests/s")


def test_a_refused_request_ends_the_run_with_the_model_s_words(
    tool: PerfAnalyzer, server: Server
) -> None:
    service, load = _service(server), Load("checker", seconds=0.5)
    broken = {"TEXT": np.array([[b"no digest", b"text"]], dtype=object)}
    with pytest.raises(TrimaranError, match=r"gave up.*not what was sent"):
        measure(tool, service, service.models("checker"), load, Rows([broken], "broken"))


def test_the_command_reports_steps_and_gates(server: Server, tmp_path: Path) -> None:
    given, out = tmp_path / "rows.json", tmp_path / "out"
    row = {name: array[0].tolist() for name, array in sealed(b"some text").items()}
    given.write_text(json.dumps({"TEXT": [text.decode() for text in row["TEXT"]]}))
    options = [
        "--payloads",
        str(given),
        "--duration",
        "1200ms",
        "--min-rps",
        "1e9",
        "--out",
        str(out),
    ]
    outcome = call_trimaran("perf", "twice:1", *options, *_elsewhere(server))
    assert outcome.status == 1, outcome.stderr
    assert "FAILS rate (twice:1, 1 connection)" in outcome.stdout
    report = json.loads((out / "report.json").read_text())
    assert report["exit_status"] == 1
    (run,) = report["runs"]
    assert [step["model"] for step in run["steps"]] == ["twice", "checker"]
    assert run["steps"][1]["requests"] == 2 * run["steps"][0]["requests"]
    assert "perf_analyzer" in report["about"]["generator"]
    assert (out / "report.html").is_file()
    assert (out / "runs.csv").is_file()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nothing_here"], "has no model 'nothing_here'"),
        (["checker:7"], "has no ready version 7"),
        (["steady", "--protocol", "tcp"], "choose http or grpc"),
        (["steady", "--rate", "5", "--connections", "2"], "one of --connections and --rate"),
        (["steady", "--duration", "0s"], "--duration is '0s'; expected a duration such as 30s"),
        (["steady"], "give rows with --payloads"),
        (["steady", "--perf-analyzer", "/nowhere/pa", "--payloads", "ROWS"], "/nowhere/pa"),
        (["steady", "--batch", "2", "--payloads", "ROWS"], "takes up to 1 rows per request"),
        (["steady", "--host", "127.0.0.2", "--http-port", "1"], "no server answers"),
    ],
)
def test_what_cannot_be_measured_is_reported_in_a_sentence(
    server: Server, tmp_path: Path, arguments: list[str], words: str
) -> None:
    given = tmp_path / "rows.json"
    given.write_text(json.dumps({"TEXT": "any"}))
    arguments = [str(given) if argument == "ROWS" else argument for argument in arguments]
    outcome = call_trimaran("perf", arguments[0], *_elsewhere(server), *arguments[1:])
    assert outcome.status == 2
    assert words in outcome.error


@pytest.mark.parametrize("command", ["bench", "locust", "perf"])
def test_a_length_that_was_chosen_for_an_open_axis_is_named_when_it_is_refused(
    server: Server, command: str
) -> None:
    outcome = call_trimaran(command, "long", *_elsewhere(server))
    assert outcome.status == 2
    named = r"long@http: (\d+) of \1 payloads \(.*, open axes 16 long; give others with --payloads"
    assert re.search(named + r".*\) were refused: .*too short", outcome.error), outcome.error


def test_a_server_that_dies_is_reported_and_leaves_nothing(
    tool: PerfAnalyzer, tmp_path: Path
) -> None:
    repository = make_repository(tmp_path, "steady")
    with private_server(find_runtime(), repository, ["steady"]) as running:
        service = _service(running)
        models = service.models("steady")
        load = Load("steady", seconds=10.0)

        def kill(took_s: float) -> None:
            if _answered(running) and running.is_running():
                running.process.kill()
                running.process.wait()

        with pytest.raises(TrimaranError, match="went away during the run"):
            measure(tool, service, models, load, Rows([STEADY_ROW], "any"), progress=kill)
        assert not running.is_running()
    assert not _perf_analyzers(os.getpid())


def _answered(server: Server) -> bool:
    if not server.is_running():
        return False
    (entry,) = server.control.statistics("steady")
    return int(entry["inference_count"]) > 5


@pytest.mark.long
def test_an_interrupt_ends_perf_analyzer_too(
    repository: Repository, server: Server, tmp_path: Path
) -> None:
    given = tmp_path / "rows.json"
    given.write_text(json.dumps({"TEXT": "any"}))
    options = ["--duration=60s", "--shm", f"--payloads={given}"]
    process = subprocess.Popen(
        [*TRIMARAN, "perf", "steady", *options, "--repository", repository.root],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        found = wait_for(lambda: _perf_analyzers(process.pid), 60, "perf_analyzer's start")
        wait_for(lambda: _registered(server), 30, "its shared memory")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 2
    assert "interrupted after" in errors
    assert "Traceback" not in errors
    assert not any(Path(f"/proc/{pid}").exists() for pid in found)
    assert not _regions()
    assert not _registered(server)


def test_a_missing_library_is_named_before_a_run(tool: PerfAnalyzer, tmp_path: Path) -> None:
    """The program itself, linked with a library that no machine has."""
    program = tmp_path / "perf_analyzer"
    content = tool.executable.read_bytes()
    assert b"libz.so.1\0" in content
    program.write_bytes(content.replace(b"libz.so.1\0", b"libz.so.0\0"))
    program.chmod(0o755)
    with pytest.raises(TrimaranError, match=r"cannot run here: it needs libz\.so\.0, which"):
        find_perf_analyzer(str(program))


def test_a_named_program_must_be_perf_analyzer(
    tool: PerfAnalyzer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "perf_analyzer"
    other.write_text("#!/bin/sh\necho hello\n")
    other.chmod(stat.S_IRWXU)
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, str(other))
    with pytest.raises(
        TrimaranError, match="is not perf_analyzer: asked for --version, it says hello"
    ):
        find_perf_analyzer()
    # What is named on the command line goes first; what is only found may be passed over.
    assert find_perf_analyzer(str(tool.executable)).executable == tool.executable
    monkeypatch.delenv(ENVIRONMENT_VARIABLE)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert find_perf_analyzer().executable == tool.executable
    other.write_text(f'#!/bin/sh\nexec "{tool.executable}" "$@"\n')
    for name, value in tool.environment.items():
        monkeypatch.setenv(name, value)
    assert find_perf_analyzer().executable == other


def _perf_analyzers(parent: int) -> set[int]:
    return {pid for pid in children(parent) if _name(pid).startswith("perf_analyzer")}


def _name(pid: int) -> str:
    """What a process runs; empty where it has just ended."""
    try:
        return Path(f"/proc/{pid}/comm").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _registered(server: Server) -> list[dict[str, Any]]:
    url = f"http://{server.ports.host}:{server.ports.http}/v2/systemsharedmemory/status"
    headers = {"Connection": "close", **http_headers(server.secret)}
    regions: list[dict[str, Any]] = urllib3.request("GET", url, headers=headers).json()
    return regions


def _regions() -> list[Path]:
    shared = Path("/dev/shm")  # noqa: S108 - where perf_analyzer keeps its tensors
    return [path for path in shared.iterdir() if path.name in ("OUT", "TEXT_0_0")]
