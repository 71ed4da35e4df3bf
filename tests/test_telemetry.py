"""The telemetry of ONNX Runtime is off in every process of trimaran."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf.json_format import MessageToDict

from tests.running import PROJECT, Served
from trimaran.repository.config import read_config
from trimaran.repository.presence import find_server
from trimaran.system.processes import children

VARIABLE = "ORT_DISABLE_TELEMETRY"
"""ONNX Runtime reads it when it is imported; if it is 1, it records and sends nothing."""
WATCH = f"""
import os, sys
def look(event, found):
    if event == "import" and found[0] == "onnxruntime":
        print("onnxruntime", os.environ.get({VARIABLE!r}))
sys.addaudithook(look)
"""
RECORD_MODEL = """
import json
from unittest.mock import MagicMock
sys.modules["triton_python_backend_utils"] = MagicMock()
from model import TritonPythonModel
TritonPythonModel().initialize(json.loads(sys.argv[1]))
"""


def said_at_import(code: str, *arguments: str, cwd: Path = PROJECT) -> str:
    """The variable when a process that runs `code` first imports ONNX Runtime."""
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
    command = [sys.executable, "-B", "-c", WATCH + code, *arguments]
    done = subprocess.run(command, cwd=cwd, env=environment, check=True, stdout=subprocess.PIPE)
    return done.stdout.decode().splitlines()[0]


@pytest.mark.parametrize("module", ["exporters.artifacts.onnx_file", "trimaran", "proofs"])
def test_the_telemetry_of_onnx_runtime_is_off(module: str) -> None:
    assert said_at_import(f"import {module}, onnxruntime") == "onnxruntime 1"


def test_it_is_off_in_a_record_model_in_a_container(churn_trained: Path) -> None:
    model = churn_trained / "model_repository" / "churn_record"
    config = MessageToDict(read_config(model / "config.pbtxt"), preserving_proto_field_name=True)
    given = {
        "model_name": model.name,
        "model_version": "1",
        "model_repository": str(model),
        "model_config": json.dumps(config),
    }
    said = said_at_import(RECORD_MODEL, json.dumps(given), cwd=model / "1")
    assert said == "onnxruntime 1"


def test_it_is_off_in_a_server_and_in_its_stubs(served: Served) -> None:
    found = find_server(served.repository)
    assert found is not None
    processes = {found.server_pid, *children(found.server_pid)}
    assert len(processes) > 2
    for process in processes:
        assert f"{VARIABLE}=1".encode() in Path(f"/proc/{process}/environ").read_bytes()
