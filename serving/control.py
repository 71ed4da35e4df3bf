"""Triton's control plane over HTTP: load, unload, what is ready, and statistics."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import urllib3
from google.protobuf import json_format

from trimaran.config import ModelConfig
from trimaran.errors import TrimaranError

__all__ = ["Control", "ModelState"]

_LOAD_TIMEOUT_S = 600.0
_CALL_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class ModelState:
    """A line of Triton's index: `state` is `READY`, `UNAVAILABLE` or between them."""

    name: str
    version: str
    state: str
    reason: str


class Control:
    """One server's control plane. Every method raises `TrimaranError` with Triton's own words.

    A call may take `timeout_s`, but for one that loads a model.
    """

    def __init__(self, host: str, port: int, timeout_s: float = _CALL_TIMEOUT_S) -> None:
        self._url = f"http://{host}:{port}/v2"
        self._timeout_s = timeout_s
        # An idle connection would hold up the server's end until its exit timeout.
        self._pool = urllib3.PoolManager(retries=False, headers={"Connection": "close"})

    def is_live(self) -> bool:
        """Whether the server answers; it does when all models were tried at start."""
        try:
            response = self._pool.request("GET", f"{self._url}/health/live", timeout=1.0)
        except urllib3.exceptions.HTTPError:
            return False
        return response.status == 200

    def index(self) -> list[ModelState]:
        """Every model version that the server knows of, with what became of it."""
        return [
            ModelState(
                item["name"], item.get("version", ""), item.get("state", ""), item.get("reason", "")
            )
            for item in self._call("POST", "/repository/index", {})
        ]

    def ready_versions(self, model: str) -> set[int]:
        """The versions of a model that answer requests."""
        return {
            int(item.version)
            for item in self.index()
            if item.name == model and item.state == "READY" and item.version
        }

    def load(self, model: str) -> None:
        """Load a model, or reload it by what now stands in the repository; waits until done."""
        self._call("POST", f"/repository/models/{model}/load", {}, timeout_s=_LOAD_TIMEOUT_S)

    def load_given(self, config: ModelConfig, files: Mapping[str, bytes] | None = None) -> None:
        """Load a model with another configuration than the repository has.

        With `files`, by path such as `1/model.onnx`, also one that is not in the repository.
        """
        parameters = {"config": json_format.MessageToJson(config, preserving_proto_field_name=True)}
        parameters |= {
            f"file:{path}": base64.b64encode(content).decode()
            for path, content in (files or {}).items()
        }
        body = {"parameters": parameters}
        self._call(
            "POST", f"/repository/models/{config.name}/load", body, timeout_s=_LOAD_TIMEOUT_S
        )

    def unload(self, model: str) -> None:
        """Take a model away, leaving the models it is made of."""
        self._call("POST", f"/repository/models/{model}/unload", {})

    def statistics(self, model: str, version: str = "") -> list[dict[str, Any]]:
        """Triton's own times and counts of a model, one entry per version, in nanoseconds."""
        path = f"/models/{model}" + (f"/versions/{version}" if version else "") + "/stats"
        statistics: list[dict[str, Any]] = self._call("GET", path)["model_stats"]
        return statistics

    def metadata(self, model: str) -> dict[str, Any]:
        """A model's inputs, outputs and versions in the KServe v2 form."""
        metadata: dict[str, Any] = self._call("GET", f"/models/{model}")
        return metadata

    def config(self, model: str) -> dict[str, Any]:
        """The configuration that a model is served with, in Triton's JSON form."""
        config: dict[str, Any] = self._call("GET", f"/models/{model}/config")
        return config

    def _call(
        self, method: str, path: str, body: Any = None, timeout_s: float | None = None
    ) -> Any:
        payload = None if body is None else json.dumps(body).encode()
        try:
            response = self._pool.request(
                method, self._url + path, body=payload, timeout=timeout_s or self._timeout_s
            )
        except urllib3.exceptions.HTTPError as error:
            raise TrimaranError(
                f"the server at {self._url} does not answer {path}: {type(error).__name__}"
            ) from error
        text = response.data.decode(errors="replace")
        if response.status != 200:
            raise TrimaranError(_reason(text) or f"{path} answered {response.status}")
        return json.loads(text) if text.strip() else {}


def _reason(text: str) -> str:
    try:
        return str(json.loads(text)["error"])
    except (ValueError, KeyError, TypeError):
        return text.strip()
