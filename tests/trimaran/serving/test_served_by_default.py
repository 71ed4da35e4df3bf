"""A server without options serves everything, and says so."""

from __future__ import annotations

import re

from tests.running import Served, run_trimaran
from tests.trimaran.calling import call_trimaran


def test_everything_is_served_by_default(served: Served) -> None:
    ready = {state.name for state in served.control.index() if state.state == "READY"}
    repository = served.repository
    assert ready == {name for name in repository.names() if repository.newest(name)}
    assert {"image_classifier", "linear_onnx"} <= ready
    assert served.said("curl -s --json")
    assert served.said("import tritonclient.grpc as triton")


def test_status_shows_what_is_live(served: Served) -> None:
    result = run_trimaran("status", "--json", "--repository", served.repository.root)
    assert f'"pid": {served.process.pid}' in result.stdout
    table = call_trimaran("status", "--repository", served.repository.root)
    assert f"served by process {served.process.pid}" in table.stdout
    (chosen,) = re.findall(r"ONNX models by its (native|python) backend", table.stdout)
    words = "tritonserver itself" if chosen == "native" else "a Python process for each instance"
    assert served.said(f"ONNX models are served by {words}")
    for name in served.repository.names():
        assert name in table.stdout
