"""`GET /ready` says whether a balancer should send requests, of a real server."""

from __future__ import annotations

import os
import signal
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np
import pytest

from tests.running import asked, start_serving, wait_for
from tests.trimaran.serving.hosting import Model, tensor
from trimaran.repository.presence import find_server
from trimaran.repository.repository import Repository
from trimaran.serving.readiness import obstacles
from trimaran.serving.stub_processes import identify_stub
from trimaran.system.processes import children

SOURCE = b"""
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        tensors = [pb_utils.get_input_tensor_by_name(r, "x").as_numpy() for r in requests]
        return [pb_utils.InferenceResponse([pb_utils.Tensor("y", x)]) for x in tensors]
"""


DEAD = "a stub died or hangs; it is reloaded"


@pytest.mark.parametrize(
    ("ready", "ailing", "words"),
    [
        ({"a", "b", "other"}, set(), {}),
        ({"a", "b"}, {"other"}, {}),
        ({"a"}, set(), {"b": "not loaded"}),
        ({"a", "b"}, {"b"}, {"b": DEAD}),
        ({"b"}, {"a", "b"}, {"a": "not loaded", "b": DEAD}),
        (None, {"a"}, dict.fromkeys("ab", "tritonserver does not answer")),
    ],
)
def test_what_is_missing(
    ready: Collection[str] | None, ailing: Collection[str], words: Mapping[str, str]
) -> None:
    assert obstacles(["b", "a"], ready, ailing) == words


def test_a_server_is_ready_until_a_stub_dies_or_it_is_about_to_end(
    tmp_path: Path,
) -> None:
    repository = Repository.create(tmp_path / "model_repository")
    text = tensor("input", "x", "FP32", [1]) + tensor("output", "y", "FP32", [1])
    Model("echo", f'backend: "python"\n{text}', {"model.py": SOURCE}).write(repository)
    served = start_serving(repository, "--drain", "600")
    try:
        found = find_server(repository)
        assert found is not None
        assert asked(served) == (200, "ready\n")

        (stub,) = (pid for pid in children(found.server_pid) if identify_stub(pid))
        with repository.live_lock("echo"):  # so that the heal waits
            os.kill(stub, signal.SIGKILL)
            wait_for(lambda: asked(served)[0] == 503, 10, "503 for a dead stub")
            assert asked(served)[1] == "not ready: echo (a stub died or hangs; it is reloaded)\n"
        wait_for(lambda: asked(served)[0] == 200, 20, "200 after the heal")

        served.process.send_signal(signal.SIGTERM)
        served.until_said("requests are answered for 600 s more", 10)
        assert asked(served) == (503, "stopping\n")
        with served.client() as client:
            x = np.array([3], np.float32)
            assert client.infer("echo", {"x": x}).outputs["y"] == x
        assert find_server(repository) is None
    finally:
        served.stop()
    assert served.process.returncode == 0
