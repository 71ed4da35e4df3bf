"""A running server is changed only by those who have its secret."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
import tritonclient.grpc
import urllib3
from tritonclient.utils import InferenceServerException

from tests.running import Served
from trimaran.repository.presence import server_secret
from trimaran.serving.access import restrictions
from trimaran.serving.server import LOG

PAGE = {"Content-Type": "text/plain", "Origin": "http://evil.example", "Host": "evil.example"}
STRANGE = {
    "name": "strange",
    "backend": "python",
    "input": [{"name": "X", "data_type": "TYPE_FP32", "dims": [1]}],
    "output": [{"name": "Y", "data_type": "TYPE_FP32", "dims": [1]}],
}


def test_no_page_or_program_without_the_secret_runs_code(served: Served, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    code = f"open({str(ran)!r}, 'w').close()\n".encode()
    files = {"file:1/model.py": base64.b64encode(code).decode()}
    body = json.dumps({"parameters": {"config": json.dumps(STRANGE), **files}})
    url = served.url("/v2/repository/models/strange/load")
    assert urllib3.request("POST", url, body=body, headers=PAGE).status == 403
    address = f"{served.ports.host}:{served.ports.grpc}"
    with (
        tritonclient.grpc.InferenceServerClient(address) as client,
        pytest.raises(InferenceServerException, match="restricted"),
    ):
        client.load_model("strange", config=json.dumps(STRANGE), files={"file:1/model.py": code})
    assert not ran.exists()


@pytest.mark.parametrize(
    "path",
    [
        "/v2/repository/models/linear_onnx/unload",
        "/v2/systemsharedmemory/region/any/register",
        "/v2/trace/setting",
        "/v2/logging",
    ],
)
def test_what_changes_a_server_is_restricted(served: Served, path: str) -> None:
    assert urllib3.request("POST", served.url(path), body="{}", headers=PAGE).status == 403


def test_the_secret_is_its_owner_s_alone(served: Served) -> None:
    (path,) = served.repository.state.glob("server.secret")
    assert path.stat().st_mode & 0o777 == 0o600
    assert server_secret(served.repository) not in (served.repository.state / LOG).read_text()


def test_shared_memory_is_open_to_all_where_it_is_asked_for() -> None:
    assert all("shared-memory" in option for option in restrictions("s"))
    opened = restrictions("s", shared_memory=True)
    assert not any("shared-memory" in option for option in opened)
    assert all("model-repository" in option for option in opened)
