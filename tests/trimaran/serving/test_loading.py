"""A model whose load never ends: nothing waits forever, and nothing is left behind."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from ensembles import PythonModel
from ensembles.pipeline import tensor
from ensembles.publish import publish_python_model
from tests.running import READY, Running, Served, wait_for
from tests.trimaran.serving.refusal import serve_refused
from trimaran.repository.presence import find_server
from trimaran.repository.repository import Repository
from trimaran.serving.control import LOAD_TIMEOUT, load_timeout_s
from trimaran.serving.loading import Load, progress, unready
from trimaran.serving.server import LOG
from trimaran.serving.stub_processes import shared_memory
from trimaran.system.errors import UsageError
from trimaran.system.processes import children, start_time

SOURCE = """
import os, time
class TritonPythonModel:
    def initialize(self, args):
        print("reading a very large file", flush=True)
        while not os.path.exists({end!r}):
            time.sleep(0.02)
    def execute(self, requests):
        return []
"""


def publish(repository: Repository, name: str, end: Path) -> None:
    """A model that is loaded once `end` exists."""
    source = end.with_name("model.py")
    source.write_text(SOURCE.format(end=str(end)))
    model = PythonModel(name, [tensor("X", "FP32", 1)], [tensor("Y", "FP32", 1)], sources=[source])
    publish_python_model(repository, model, "test")


@pytest.fixture
def sleeper(tmp_path: Path) -> Repository:
    """A repository whose only model is loaded once `end` exists beside it."""
    repository = Repository.create(tmp_path / "model_repository")
    publish(repository, "sleeper", tmp_path / "end")
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
    [
        ("serve", signal.SIGTERM),
        pytest.param("serve", signal.SIGINT, marks=pytest.mark.long),
        ("deploy", signal.SIGTERM),
    ],
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


@pytest.mark.long
def test_a_load_that_takes_too_long_is_ended_and_reported_with_the_log(
    sleeper: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(LOAD_TIMEOUT, "4")
    running, log = started("deploy", sleeper), log_of("deploy", sleeper)
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


def ready_metrics(served: Served) -> dict[str, float]:
    return {model: value for (model,), value in served.samples("trimaran_model_ready").items()}


def test_a_model_that_loads_slowly_is_served_late_and_the_others_at_once(
    sleeper: Repository, tmp_path: Path
) -> None:
    publish(sleeper, "quick", tmp_path)
    served = Served(sleeper, "--load-timeout", "4")
    try:
        wait_for(lambda: find_server(sleeper), 60, "the start")
        wait_for(lambda: served.control.ready_versions("quick"), 60, "the quick model")
        assert not served.said(READY)
        served.until_said(READY, 60)
        assert served.said("did not load within 4 s")
        assert ready_metrics(served) == {"quick": 1, "sleeper": 0}
        (tmp_path / "end").touch()
        served.until_said("sleeper: loaded after", 60)
        assert ready_metrics(served) == {"quick": 1, "sleeper": 1}
    finally:
        served.stop()
    assert served.process.returncode == 0


def load(name: str, began_at: float | None, *needs: str, ended: bool = False) -> Load:
    made = Load(name, lambda: None, needs, began_at, error="broken" if name == "bad" else "")
    if ended:
        made.ended.set()
    return made


@pytest.mark.parametrize(
    ("loads", "expected"),
    [
        ([], {}),
        ([load("a", 0, ended=True)], {}),
        ([load("a", 5)], None),
        ([load("a", None)], None),
        ([load("bad", 0, ended=True)], {"bad": "broken"}),
        ([load("a", 0)], {"a": "did not load within 10 s"}),
        ([load("a", 0), load("b", 5)], None),
        ([load("a", 0), load("e", None, "a")], {"a": "did not load", "e": "waits for a to load"}),
        ([load("a", 5), load("e", None, "a")], None),
    ],
)
def test_when_loads_are_waited_for_no_longer(
    loads: list[Load], expected: dict[str, str] | None
) -> None:
    found = unready({each.model: each for each in loads}, 10.0, 10.0)
    if found is None or expected is None:
        assert found == expected
        return
    assert found.keys() == expected.keys()
    assert all(found[name].startswith(words) for name, words in expected.items())


def test_progress_names_what_loads_and_counts_what_is_served() -> None:
    loads = [load("a", 0, ended=True), load("bad", 0, ended=True), load("b", 2), load("c", None)]
    assert progress(loads, 62.4) == "still loading: b, 60 s (1 of 4 are served already)"


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
