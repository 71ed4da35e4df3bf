"""A running gateway, and how tests ask it."""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import tritonclient.grpc
import urllib3

from tests.running import Running, wait_for
from trimaran.gateway.keys import SigningKey
from trimaran.repository.repository import Repository
from trimaran.system.ports import free_ports

__all__ = ["RECORD", "Door", "call_inputs", "configure"]

RECORD: Mapping[str, Any] = {
    "customer_id": "c-1",
    "state": "OH",
    "account_length": 100,
    "international_plan": "yes",
    "voice_mail_plan": "no",
    "total_day_minutes": 300.0,
    "total_day_charge": 51.0,
    "total_eve_minutes": 260.0,
    "total_eve_charge": 22.1,
    "number_customer_service_calls": 5,
}
"""A customer who leaves."""


@dataclass(frozen=True)
class Reply:
    """An answer over HTTP."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Door(Running):
    """A `trimaran gateway up` process that listens."""

    def __init__(self, repository: Repository, config: Path, settings: str = "") -> None:
        self.repository = repository
        self.config = config
        ports = free_ports()
        self.port, self.metrics_port = ports.http, ports.metrics
        self.write(settings)
        super().__init__("gateway", "up", "--repository", repository.root, "--config", config)

    def write(self, text: str) -> None:
        """Give the gateway another `gateway.toml`."""
        listen = f"port = {self.port}\nmetrics_port = {self.metrics_port}"
        self.config.write_text(f"{text}\n[listen]\n{listen}\n")

    @property
    def state(self) -> Path:
        return self.repository.state / "gateway"

    @property
    def certificate(self) -> Path:
        return self.state / "gateway.crt"

    @property
    def address(self) -> str:
        return f"localhost:{self.port}"

    @cached_property
    def key(self) -> SigningKey:
        return SigningKey(self.state)

    @cached_property
    def pool(self) -> urllib3.PoolManager:
        context = ssl.create_default_context(cafile=str(self.certificate))
        return urllib3.PoolManager(ssl_context=context, retries=False, timeout=30.0, maxsize=32)

    def token(self, *scopes: str, subject: str = "tester") -> str:
        return self.key.token(subject, scopes, 600)

    def bearer(self, *scopes: str, subject: str = "tester") -> dict[str, str]:
        return {"authorization": f"Bearer {self.token(*scopes, subject=subject)}"}

    def ask(
        self,
        method: str,
        path: str,
        *scopes: str,
        record: Mapping[str, Any] | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Send a request, with a token that has these scopes, or with none."""
        content = json.dumps(dict(record)).encode() if record is not None else body
        sent = {**(self.bearer(*scopes) if scopes else {}), **(headers or {})}
        response = self.pool.request(
            method, f"https://{self.address}{path}", body=content, headers=sent
        )
        found = {name.lower(): value for name, value in response.headers.items()}
        return Reply(response.status, found, response.data)

    def calls(self) -> tritonclient.grpc.InferenceServerClient:
        return tritonclient.grpc.InferenceServerClient(
            self.address, ssl=True, root_certificates=str(self.certificate)
        )

    def audited(self, request_id: str) -> Any:
        """The line of a request in the audit log, once it is written."""

        def line() -> Any:
            lines = (self.state / "audit.log").read_bytes().splitlines()
            return next(
                (each for each in map(json.loads, lines) if each["request_id"] == request_id), None
            )

        return wait_for(line, 20, f"a line of {request_id} in the audit log")


def call_inputs(record: Mapping[str, Any] = RECORD) -> list[Any]:
    """A record as the tensors of a gRPC call."""
    inputs = []
    for name, value in record.items():
        text = isinstance(value, str)
        tensor = tritonclient.grpc.InferInput(name, [1, 1], "BYTES" if text else "FP32")
        array = np.array([[value.encode() if text else value]], object if text else np.float32)
        tensor.set_data_from_numpy(array)
        inputs.append(tensor)
    return inputs


def configure(door: Door, text: str) -> None:
    """Give the gateway other settings, and wait until they are at work."""
    since = len(door.lines)
    door.write(text)
    wait_for(lambda: door.said("is at work", since), 30, "a change that is taken over")
