"""The peers: how each is started, and the setting that suits it best for each job."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from proofs.jobs.job import PHOTOGRAPH, RECORD
from proofs.peers.setting import Setting
from trimaran.system.errors import UsageError

__all__ = ["PEERS", "Form", "Peer", "Start", "peer_named"]

_HOST = "127.0.0.1"


@dataclass(frozen=True)
class Start:
    """What a peer's command is made from. `scratch` is the directory that it runs in."""

    python: Path
    ports: tuple[int, int, int]
    """The first is for requests, the others for what a framework cannot do without."""
    scratch: Path
    job: str
    setting: Setting


@dataclass(frozen=True)
class Form:
    """How a request is written and its answer read."""

    path: str = "/predict"
    body: Callable[[bytes], bytes] = bytes
    """From a photograph's file or a record's JSON."""
    content_type: str = "application/json"
    answer: Callable[[Any], Any] = lambda parsed: parsed
    """From the answer's parsed JSON to the job's answer."""


@dataclass(frozen=True)
class Peer:
    """One framework."""

    name: str
    title: str
    distribution: str
    """The package whose version stands for the framework's."""
    settings: Mapping[str, Setting]
    """By job: the best of those that were tried."""
    command: Callable[[Start], list[str]]
    form: Callable[[str, Setting], Form]
    variables: Callable[[Start], Mapping[str, str]] = field(default=lambda start: {})


def peer_named(name: str) -> Peer:
    """A peer. Raises `UsageError` naming those that there are."""
    if name not in PEERS:
        raise UsageError(f"there is no peer {name!r}; choose from {', '.join(PEERS)}")
    return PEERS[name]


def _plain(job: str, setting: Setting) -> Form:
    """The photograph's bytes, or the record's JSON, as the body."""
    binary = "application/octet-stream"
    return Form(content_type=binary if job == PHOTOGRAPH else "application/json")


def _bentoml_form(job: str, setting: Setting) -> Form:
    if setting.batch == 1:
        return _plain(job, setting)
    return Form(body=lambda data: b"[" + data + b"]", answer=lambda parsed: parsed[0])


def _mlserver_form(job: str, setting: Setting) -> Form:
    if setting.batch == 1:
        return _plain(job, setting)

    def body(data: bytes) -> bytes:
        text = base64.b64encode(data) if job == PHOTOGRAPH else data
        tensor = {"name": "input", "shape": [1, 1], "datatype": "BYTES", "data": [text.decode()]}
        return json.dumps({"inputs": [tensor]}).encode()

    return Form(
        path="/v2/models/job/infer",
        body=body,
        answer=lambda parsed: json.loads(parsed["outputs"][0]["data"][0]),
    )


def _fastapi(start: Start) -> list[str]:
    command = [str(start.python), "-m", "uvicorn", "proofs.peers.fastapi_server:app"]
    command += ["--host", _HOST, "--port", str(start.ports[0])]
    command += ["--workers", str(start.setting.workers), "--loop", "uvloop"]
    return [*command, "--http", "httptools", "--no-access-log", "--log-level", "warning"]


def _litserve(start: Start) -> list[str]:
    return [str(start.python), "-m", "proofs.peers.litserve_server", str(start.ports[0])]


def _bentoml(start: Start) -> list[str]:
    command = [str(start.python), "-m", "bentoml", "serve", "--host", _HOST]
    return [*command, "--port", str(start.ports[0]), "proofs.peers.bentoml_server:service"]


def _bentoml_variables(start: Start) -> dict[str, str]:
    return {"BENTOML_DO_NOT_TRACK": "True", "BENTOML_HOME": str(start.scratch / "bentoml")}


def _mlserver(start: Start) -> list[str]:
    """Writes its two settings files, as MLServer's documentation has them."""
    http, grpc, metrics = start.ports
    server = {
        "debug": False,
        "host": _HOST,
        "http_port": http,
        "grpc_port": grpc,
        "metrics_port": metrics,
        "metrics_endpoint": None,
        "gzip_enabled": False,
        "parallel_workers": start.setting.workers,
    }
    kind = "Photographs" if start.job == PHOTOGRAPH else "Records"
    model = {
        "name": "job",
        "implementation": f"proofs.peers.mlserver_runtime.{kind}",
        "max_batch_size": start.setting.batch if start.setting.batch > 1 else 0,
        "max_batch_time": start.setting.wait_ms / 1e3,
    }
    (start.scratch / "settings.json").write_text(json.dumps(server))
    (start.scratch / "model-settings.json").write_text(json.dumps(model))
    return [str(start.python), "-c", "from mlserver.cli import main; main()", "start", "."]


def _ray(start: Start) -> list[str]:
    command = [str(start.python), "-m", "proofs.peers.ray_server", str(start.ports[0])]
    return [*command, str(start.scratch / "ray")]


def _ray_variables(start: Start) -> dict[str, str]:
    found = {
        "RAY_USAGE_STATS_ENABLED": "0",
        # Ray replaces 127.0.0.1 by another address of the machine, where whoever reaches it may run
        # any code, unless this variable says that the cluster is one machine.
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
    }
    if start.setting.fast:
        proxy = start.scratch / "haproxy"
        proxy.mkdir()
        found |= {
            "RAY_SERVE_ENABLE_HA_PROXY": "1",
            "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
            "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(proxy / "haproxy.cfg"),
            "RAY_SERVE_HAPROXY_SOCKET_PATH": str(proxy / "admin.sock"),
            "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(proxy),
            "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(proxy / "server-state"),
            "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": str(proxy / "metrics.sock"),
            "RAY_SERVE_HAPROXY_METRICS_ENABLED": "0",
            "RAY_SERVE_HAPROXY_STATS_PORT": str(start.ports[1]),
            "RAY_SERVE_HAPROXY_METRICS_PORT": str(start.ports[2]),
        }
    return found


PEERS: Mapping[str, Peer] = {
    peer.name: peer
    for peer in (
        Peer(
            "fastapi",
            "FastAPI",
            "fastapi",
            {PHOTOGRAPH: Setting(workers=1, pool=2), RECORD: Setting()},
            _fastapi,
            _plain,
        ),
        Peer(
            "litserve",
            "LitServe",
            "litserve",
            {
                PHOTOGRAPH: Setting(batch=4, wait_ms=5.0, fast=True),
                RECORD: Setting(batch=16, wait_ms=1.0, fast=True),
            },
            _litserve,
            _plain,
        ),
        Peer(
            "bentoml",
            "BentoML",
            "bentoml",
            {PHOTOGRAPH: Setting(pool=1), RECORD: Setting()},
            _bentoml,
            _bentoml_form,
            _bentoml_variables,
        ),
        Peer(
            "mlserver",
            "MLServer",
            "mlserver",
            {PHOTOGRAPH: Setting(batch=4, wait_ms=5.0), RECORD: Setting(workers=0)},
            _mlserver,
            _mlserver_form,
        ),
        Peer(
            "ray",
            "Ray Serve",
            "ray",
            {
                PHOTOGRAPH: Setting(fast=True),
                RECORD: Setting(batch=16, wait_ms=1.0, fast=True),
            },
            _ray,
            _plain,
            _ray_variables,
        ),
    )
}
