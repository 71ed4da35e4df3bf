"""A stub that lives and does nothing is found, killed and healed; one that works long is not."""

from __future__ import annotations

import os
import signal
import threading
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from tests.running import READY, Served, start_serving, wait_for
from tests.trimaran.serving.hosting import Model, tensor
from trimaran.repository.presence import find_server
from trimaran.repository.repository import Repository
from trimaran.serving.hangs import HangWatch, Pulse
from trimaran.serving.stub_processes import Stub, identify_stub
from trimaran.system.processes import children

LIMIT_S = 3
NEVER = -1.0
SOURCE = b"""
import time
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        responses = []
        for request in requests:
            seconds = pb_utils.get_input_tensor_by_name(request, "seconds").as_numpy()
            time.sleep(float(seconds[0]) if seconds[0] >= 0 else 3600)
            responses.append(pb_utils.InferenceResponse([pb_utils.Tensor("waited", seconds)]))
        return responses
"""


@pytest.mark.parametrize(
    ("pulse", "words"),
    [
        (Pulse(), ""),
        (Pulse(beat_at=99), ""),
        (Pulse(began_at=71, beat_at=99), ""),
        (Pulse(began_at=70, beat_at=99), "the same requests for 30 s"),
        (Pulse(beat_at=69), ""),
        (Pulse(beat_at=68), "its interpreter run for 32 s"),
        (Pulse(stopped=True, began_at=99, beat_at=99), "stopped by a signal for 5 s"),
    ],
)
def test_what_a_pulse_says(pulse: Pulse, words: str) -> None:
    """At the second 100, with a limit of 30 s, of a stub that has been stopped since 95."""
    stub = Stub(7, "model", 1, "model_0_0")
    for limit_s, expected in ((30.0, words), (0.0, "")):
        watch = HangWatch(limit_s, stopped_at={stub: 95.0})
        found = watch.observe({stub: pulse}, 100.0)
        assert list(found) == [stub] * bool(expected)
        assert expected in found.get(stub, "")
        assert watch.observe({stub: pulse}, 100.5) == {}


def test_a_stub_that_goes_on_was_not_stopped_long() -> None:
    stub, watch = Stub(7, "model", 1, "model_0_0"), HangWatch(2.0)
    for now, stopped in ((0, True), (1.5, True), (2, False), (2.5, True), (4, True)):
        assert watch.observe({stub: Pulse(stopped)}, now) == {}
    assert watch.observe({stub: Pulse(stopped=True)}, 4.5).keys() == {stub}


def ask(served: Served, model: str, seconds: float) -> str:
    """In which words a request is refused; empty if it is answered."""
    return served.refusal(model, {"seconds": np.array([seconds], np.float32)})


def hangs(served: Served) -> dict[str, float]:
    return {model: value for (model,), value in served.samples("trimaran_stub_hangs_total").items()}


def repository_of(tmp_path: Path, *names: str) -> Repository:
    """Models that sleep for the seconds in their input."""
    repository = Repository.create(tmp_path / "model_repository")
    text = tensor("input", "seconds", "FP32", [1]) + tensor("output", "waited", "FP32", [1])
    for name in names:
        Model(name, f'backend: "python"\n{text}', {"model.py": SOURCE}).write(repository)
    return repository


def stubs_of(repository: Repository, model: str) -> set[int]:
    found = find_server(repository)
    assert found is not None
    stubs = {pid: identify_stub(pid) for pid in children(found.server_pid)}
    return {pid for pid, stub in stubs.items() if stub and stub.model == model}


def test_a_stub_that_hangs_is_killed_and_its_model_healed(tmp_path: Path) -> None:
    repository = repository_of(tmp_path, "stopped", "endless", "patient")
    served = start_serving(repository, "--hang-timeout", str(LIMIT_S))
    try:
        (stopped,) = stubs_of(repository, "stopped")
        refusals: list[str] = []
        request = threading.Thread(target=lambda: refusals.append(ask(served, "endless", NEVER)))
        request.start()
        os.kill(stopped, signal.SIGSTOP)
        assert not ask(served, "patient", LIMIT_S - 1)
        assert not ask(served, "patient", LIMIT_S - 1)
        for name in ("stopped", "endless"):
            wait_for(lambda name=name: served.said(f"{name}: healed"), 30, f"the heal of {name}")
            assert not ask(served, name, 0)
        request.join(30)
        assert refusals[0]
        assert served.said(f"(process {stopped}) has been stopped by a signal")
        assert served.said("has worked on the same requests for")
        assert hangs(served) == {"stopped": 1, "endless": 1, "patient": 0}
    finally:
        served.stop()


def outcome(served: Served, since: int) -> str:
    """What came of a reload, once it is known."""
    words = ("patient: healed", "waits for a stub that died")
    return next((word for word in words if served.said(word, since)), "")


@pytest.mark.long
def test_a_load_that_waits_for_a_dead_stub_is_ended_with_its_server(tmp_path: Path) -> None:
    """Triton waits for ever for a stub that is killed as soon as it has been started."""
    repository = repository_of(tmp_path, "patient")
    served = start_serving(repository)
    try:
        for _ in range(10):
            printed = len(served.lines)
            (first,) = stubs_of(repository, "patient")
            os.kill(first, signal.SIGKILL)
            deadline = time.monotonic() + 30
            while not (new := stubs_of(repository, "patient") - {first}):
                assert time.monotonic() < deadline
            os.kill(new.pop(), signal.SIGKILL)
            found = wait_for(partial(outcome, served, printed), 60, "the end of the reload")
            if found != "patient: healed":
                break
            # The stub had been started too far: the load failed, and the next one did not.
        assert found == "waits for a stub that died"
        wait_for(lambda: served.said(READY, printed), 60, "the restart")
        assert not ask(served, "patient", 0)
    finally:
        served.stop()
