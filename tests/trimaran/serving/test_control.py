"""What a load does to the server's other clients, and what cannot be sent."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import urllib3
from google.protobuf import text_format

from tests.running import Served, wait_for
from trimaran.repository.config import ModelConfig
from trimaran.serving.control import Control
from trimaran.system.endpoint import Endpoint
from trimaran.system.errors import TrimaranError
from trimaran.system.ports import Ports

CONNECTIONS = 16
"""Two for each of the threads in which Triton answers HTTP."""

WAITER = """
import os, time
open({began!r}, "w").close()
while not os.path.exists({end!r}):
    time.sleep(0.02)
class TritonPythonModel:
    def execute(self, requests):
        return []
"""
CONFIG = """
name: "waiter"
backend: "python"
input { name: "X" data_type: TYPE_FP32 dims: [1] }
output { name: "Y" data_type: TYPE_FP32 dims: [1] }
"""


def test_a_load_holds_up_no_connection_of_another_model(served: Served, tmp_path: Path) -> None:
    began, end = tmp_path / "began", tmp_path / "end"
    config = text_format.Parse(CONFIG, ModelConfig())
    source = WAITER.format(began=str(began), end=str(end)).encode()
    control = served.control
    pools = [
        urllib3.HTTPConnectionPool(served.ports.host, served.ports.http) for _ in range(CONNECTIONS)
    ]
    path = "/v2/models/linear_onnx"
    for pool in pools:  # a thread that loads takes no new connection
        assert pool.request("GET", path).status == 200
    load = threading.Thread(target=control.load_given, args=(config, {"1/model.py": source}))
    load.start()
    try:
        wait_for(began.exists, 60, "the load")
        for pool in pools:
            answer = pool.request("GET", path, timeout=5.0, retries=False)
            assert answer.status == 200
        assert load.is_alive()
    finally:
        end.touch()
        load.join()
        for pool in pools:
            pool.close()
    assert control.metadata("waiter")["versions"] == ["1"]
    control.unload("waiter")


def test_files_that_no_server_takes_are_refused_before_they_are_sent() -> None:
    with pytest.raises(TrimaranError, match=r"m: its files have 2\.1 GB.*from its repository"):
        Control(Endpoint.of(Ports())).load_given(ModelConfig(name="m"), {"1/x": bytes(2**31)})
