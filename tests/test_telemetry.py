"""No library that trimaran uses tells anybody about it."""

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
SILENCED = {"CI", VARIABLE, "ORT_RUNNING_UNIT_TESTS", "XDG_CACHE_HOME"}
"""Variables by which ONNX Runtime would keep nothing in the home directory."""
RECORD_MODEL = """
import json, sys
from unittest.mock import MagicMock
sys.modules["triton_python_backend_utils"] = MagicMock()
from model import TritonPythonModel
TritonPythonModel().initialize(json.loads(sys.argv[1]))
"""


def kept_for_microsoft(home: Path, code: str, *arguments: str, cwd: Path = PROJECT) -> bool:
    """Whether ONNX Runtime keeps events in the home directory, in a process that runs `code`."""
    environment = {name: value for name, value in os.environ.items() if name not in SILENCED}
    subprocess.run(
        [sys.executable, "-B", "-c", code, *arguments],
        cwd=cwd,
        env={**environment, "HOME": str(home)},
        check=True,
    )
    return any(home.glob("**/onnxruntime.db"))


def test_onnx_runtime_alone_keeps_events(tmp_path: Path) -> None:
    """Else the other tests here would show nothing."""
    assert kept_for_microsoft(tmp_path, "import onnxruntime")


@pytest.mark.parametrize("module", ["exporters.artifacts.onnx_file", "trimaran", "proofs"])
def test_with_trimaran_it_keeps_none(module: str, tmp_path: Path) -> None:
    assert not kept_for_microsoft(tmp_path, f"import {module}, onnxruntime")


def test_a_record_model_in_a_container_keeps_none(churn_trained: Path, tmp_path: Path) -> None:
    model = churn_trained / "model_repository" / "churn_record"
    config = MessageToDict(read_config(model / "config.pbtxt"), preserving_proto_field_name=True)
    given = {
        "model_name": model.name,
        "model_version": "1",
        "model_repository": str(model),
        "model_config": json.dumps(config),
    }
    assert not kept_for_microsoft(tmp_path, RECORD_MODEL, json.dumps(given), cwd=model / "1")


def test_a_server_and_its_stubs_inherit_that(served: Served) -> None:
    found = find_server(served.repository)
    assert found is not None
    processes = {found.server_pid, *children(found.server_pid)}
    assert len(processes) > 2
    for process in processes:
        assert f"{VARIABLE}=1".encode() in Path(f"/proc/{process}/environ").read_bytes()
