"""A model whose load never ends: nothing waits forever, and nothing is left behind."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from ensembles import PythonModel
from ensembles.pipeline import tensor
from ensembles.publish import publish_python_model
from tests.running import Running, Served, wait_for
from tests.trimaran.serving.refusal import serve_refused
from trimaran.repository.repository import Repository
from trimaran.serving.control import LOAD_TIMEOUT, load_timeout_s
from trimaran.serving.server import LOG
from trimaran.serving.stub_processes import shared_memory
from trimaran.system.errors import UsageError
from trimaran.system.processes import children, start_time

SOURCE = """
import time
class TritonPythonModel:
    def initialize(self, args):
        print("reading a very large file", flush=True)
        time.sleep(3600)
    def execute(self, requests):
        return []
"""
COMMANDS = ("serve", "deploy")
"""Waits for the server's start, and for the load of a model in a started one."""


@pytest.fixture
def sleeper(tmp_path: Path) -> Repository:
    """A repository whose only model is never loaded."""
    repository = Repository.create(tmp_path / "model_repository")
    source = tmp_path / "model.py"
    source.write_text(SOURCE)
    model = PythonModel(
        "sleeper", [tensor("X", "FP32", 1)], [tensor("Y", "FP32", 1)], sources=[source]
    )
    publish_python_model(repository, model, "test")
    return repository


def started(command: str, repository: Repository) -> Running:
    if command == "serve":
        return Served(repository)
    return Running("deploy", "sleeper", "--repository", repository.root)


def log_of(command: str, repository: Repository) -> Path:
    return repository.state / (LOG if command == "serve" else "private.log")


def once_it_hangs(running: Running, log: Path) -> tuple[set[int], set[Path]]:
    """The server with its stubs, and their shared memory, once the model has begun to load."""
    wait_for(lambda: log.is_file() and "very large file" in log.read_text(), 60, "the load")
    (server,) = (pid for pid in children(running.process.pid) if shared_memory(pid))
    stubs = children(server)
    assert stubs
    return {server, *stubs}, shared_memory(server)


def left(processes: set[int], regions: set[Path]) -> list[object]:
    return [
        *(pid for pid in processes if start_time(pid)),
        *(region for region in regions if region.exists()),
    ]


@pytest.mark.parametrize(
    ("command", "number"),
    [("serve", signal.SIGTERM), ("serve", signal.SIGINT), ("deploy", signal.SIGTERM)],
)
def test_a_signal_during_a_load_leaves_nothing(
    sleeper: Repository, command: str, number: signal.Signals
) -> None:
    running = started(command, sleeper)
    try:
        made = once_it_hangs(running, log_of(command, sleeper))
        assert len(left(*made)) >= 3
    finally:
        running.stop(number)
    assert not left(*made)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_load_that_takes_too_long_is_ended_and_reported_with_the_log(
    sleeper: Repository, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(LOAD_TIMEOUT, "4")
    running, log = started(command, sleeper), log_of(command, sleeper)
    made = once_it_hangs(running, log)
    wait_for(lambda: running.process.poll() is not None, 60, "the end")
    running.stop()
    assert running.process.returncode == 1, "\n".join(running.lines)
    (line,) = running.said("error: ")
    assert "within 4 s" in line
    assert LOAD_TIMEOUT in line
    assert line.endswith(f"the log {log} ends:")
    assert "reading a very large file" in running.lines
    assert log.is_file()
    assert not left(*made)


@pytest.mark.parametrize("value", ["soon", "0", "-1", "inf", "nan", "1e10"])
def test_a_limit_that_is_no_number_of_seconds_is_refused(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(LOAD_TIMEOUT, value)
    with pytest.raises(UsageError, match=f"{LOAD_TIMEOUT} is '{value}'"):
        load_timeout_s()


def test_a_limit_that_is_no_number_is_reported_before_anything_starts(
    sleeper: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(LOAD_TIMEOUT, "soon")
    assert serve_refused(sleeper.root).status == 2
    assert not log_of("serve", sleeper).exists()
