"""Triton's control plane: load, unload, readiness, and statistics.

Triton loads in the thread that takes the request. Over HTTP that is one of eight that also answer
the requests of other models; over gRPC it is apart from them. So loads and unloads go over gRPC.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Any

import urllib3
from google.protobuf import json_format

from trimaran.repository.config import ModelConfig
from trimaran.serving.access import grpc_headers, http_headers
from trimaran.serving.connections import grpc_connection
from trimaran.serving.denial import DeniedError, denial
from trimaran.serving.embedded_config import EMBEDDED_VERSION, readable
from trimaran.system.endpoint import Endpoint
from trimaran.system.errors import TrimaranError, UsageError
from trimaran.system.reaching import why_unreachable

__all__ = [
    "LOAD_TIMEOUT",
    "Control",
    "LoadTimeoutError",
    "ModelState",
    "last_words",
    "lines_of",
    "load_timeout_s",
]

LOAD_TIMEOUT = "TRIMARAN_LOAD_TIMEOUT"
"""The environment variable that says how many seconds a model may take to load."""

_LOAD_TIMEOUT_S = 300.0
_LONGEST_TIMEOUT_S = 1_000_000
_CALL_TIMEOUT_S = 10.0
_ANSWERS = (200, 401, 403)
_LISTEN_EVERY_S = 0.5
_LAST_LINES = 5
_MOST_SENT_BYTES = 2**31 - 2**20
_CHANNEL = [
    ("grpc.max_send_message_length", 2**31 - 1),
    ("grpc.enable_http_proxy", 0),
]


class LoadTimeoutError(TrimaranError):
    """A model did not load in time. Triton goes on trying, and the load cannot be cancelled."""


def load_timeout_s() -> float:
    """How long a model may take to load, and a server to start. Raises `UsageError`."""
    given = os.environ.get(LOAD_TIMEOUT)
    if not given:
        return _LOAD_TIMEOUT_S
    try:
        seconds = float(given)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= _LONGEST_TIMEOUT_S:
        raise UsageError(
            f"{LOAD_TIMEOUT} is {given!r}; give a number of seconds above 0 and at most "
            f"{_LONGEST_TIMEOUT_S}"
        )
    return seconds


@dataclass(frozen=True)
class ModelState:
    """A line of Triton's index: `state` is `READY`, `UNAVAILABLE`, or in transition."""

    name: str
    version: str
    state: str
    reason: str


def last_words(log: Path) -> str:
    """The end of a server's log and its path, to append to an error."""
    return f"; the log {log} ends:\n" + "\n".join(lines_of(log)[-_LAST_LINES:])


def lines_of(log: Path) -> list[str]:
    """The lines of a server's log, and of the part before it, that are not empty."""
    text = ""
    for part in (log.with_name(f"{log.name}.1"), log):
        with suppress(FileNotFoundError):  # it is being renamed, or there is none before it
            text += part.read_text(encoding="utf-8", errors="replace")
    return [line.rstrip() for line in text.splitlines() if line.strip()]


class Control:
    """One server's control plane. Every method raises `TrimaranError` with Triton's own message.

    A server that trimaran started lists, loads and unloads models for those who have its `secret`.
    A call may take `timeout_s`. A load may take `load_timeout_s()`; after that it raises
    `LoadTimeoutError` with the end of the server's `log`, if that is known. With `silence_s` a load
    is given up where the server answers nothing else for so long.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        secret: str = "",
        timeout_s: float = _CALL_TIMEOUT_S,
        log: Path | None = None,
        silence_s: float | None = None,
    ) -> None:
        self._log = log
        self._silence_s = silence_s
        self._endpoint = endpoint
        self._url = endpoint.url("/v2")
        self._metadata = {**endpoint.headers, **grpc_headers(secret)}
        self._timeout_s = timeout_s
        # An idle connection would hold up the server's end until its exit timeout.
        self._pool = urllib3.PoolManager(
            retries=False,
            headers={"Connection": "close", **endpoint.headers, **http_headers(secret)},
            ssl_context=endpoint.context() if endpoint.secure else None,
        )

    def is_live(self) -> bool:
        """Whether the server answers; it does so once it has tried to load every model.

        A gateway that asks who we are, or does not tell, answers too.
        """
        try:
            response = self._pool.request("GET", f"{self._url}/health/live", timeout=1.0)
        except urllib3.exceptions.HTTPError:
            return False
        return response.status in _ANSWERS

    def index(self) -> list[ModelState]:
        """Every model version that the server knows, with its state.

        A server that keeps its index to itself still gives the statistics of what is ready.
        """
        try:
            found = self._call("POST", "/repository/index", {})
        except TrimaranError as error:
            if "restricted" not in str(error) and not isinstance(error, DeniedError):
                raise
            ready = self._call("GET", "/models/stats")["model_stats"]
            return [ModelState(item["name"], item["version"], "READY", "") for item in ready]
        return [
            ModelState(
                item["name"], item.get("version", ""), item.get("state", ""), item.get("reason", "")
            )
            for item in found
        ]

    def ready_versions(self, model: str) -> set[int]:
        """The versions of a model that answer requests."""
        return {
            int(item.version)
            for item in self.index()
            if item.name == model and item.state == "READY" and item.version
        }

    def load(self, model: str, *, without_limit: bool = False) -> None:
        """Load a model, or reload it from the repository; waits until it is done.

        `without_limit` waits for as long as the server lives.
        """
        self._load(model, None if without_limit else load_timeout_s())

    def load_given(self, config: ModelConfig, files: Mapping[str, bytes] | None = None) -> None:
        """Load a model with a configuration other than that in the repository.

        With `files`, by path such as `1/model.onnx`, the model need not be in the repository. They
        have at most 2 GB together.
        """
        size = sum(map(len, (files or {}).values()))
        if size > _MOST_SENT_BYTES:
            raise TrimaranError(
                f"{config.name}: its files have {size / 1e9:.1f} GB, and a server takes at most 2 "
                "GB over the network; load it from its repository"
            )
        config = readable(config) if self._is_embedded(config) else config
        text = json_format.MessageToJson(config, preserving_proto_field_name=True)
        parameters = {f"file:{path}": content for path, content in (files or {}).items()}
        self._load(config.name, load_timeout_s(), config=text, files=parameters)

    def unload(self, model: str) -> None:
        """Unload a model, but not the steps of an ensemble."""
        with self._grpc() as client:
            client.unload_model(model, headers=self._metadata, client_timeout=self._timeout_s)

    def statistics(self, model: str, version: str = "") -> list[dict[str, Any]]:
        """Triton's times (in nanoseconds) and counts of a model, one entry per version."""
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

    def _is_embedded(self, config: ModelConfig) -> bool:
        """Whether the server cannot read the configuration; it is asked where that matters."""
        return readable(config) is not config and (
            self._call("GET", "").get("version") == EMBEDDED_VERSION
        )

    def _load(self, model: str, timeout_s: float | None, **content: Any) -> None:
        try:
            with self._grpc() as client, self._watched(client):
                client.load_model(
                    model, headers=self._metadata, client_timeout=timeout_s, **content
                )
        except _SilenceError as error:
            raise LoadTimeoutError(
                f"{model} did not load within {timeout_s or 0:g} s; raise {LOAD_TIMEOUT} if it "
                f"needs longer{last_words(self._log) if self._log else ''}"
            ) from error

    @contextmanager
    def _watched(self, client: Any) -> Iterator[None]:
        """End the call of the block by its connection where the server is silent for too long."""
        if self._silence_s is None:
            yield
            return
        ended, silence_s = Event(), self._silence_s

        def watch() -> None:
            heard_at = time.monotonic()
            while not ended.wait(_LISTEN_EVERY_S):
                if self.is_live():
                    heard_at = time.monotonic()
                elif time.monotonic() - heard_at >= silence_s:
                    client.close()
                    return

        watching = Thread(target=watch, name="listening", daemon=True)
        watching.start()
        try:
            yield
        finally:
            ended.set()
            watching.join()

    @contextmanager
    def _grpc(self) -> Iterator[Any]:
        """A client for one call; an idle connection would hold up the server's end too."""
        # It takes half a second to import.
        import tritonclient.grpc as grpc

        try:
            with grpc_connection(self._endpoint, _CHANNEL) as client:
                yield client
        except grpc.InferenceServerException as error:
            status, message = error.status(), error.message()
            address = self._endpoint.grpc
            if denied := denial(self._endpoint, str(status), message):
                raise denied from error
            if status == "StatusCode.CANCELLED" and self._silence_s:  # by `_watched`
                raise TrimaranError(
                    f"the server at {address} answers nothing for {self._silence_s:g} s"
                ) from error
            if status == "StatusCode.DEADLINE_EXCEEDED":
                raise _SilenceError(f"the server at {address} does not answer") from error
            if status == "StatusCode.UNAVAILABLE" and "restricted" not in message:
                reason = why_unreachable(self._endpoint, address) if self._endpoint.secure else ""
                raise TrimaranError(
                    reason or f"the server at {address} does not answer: {message}"
                ) from error
            raise TrimaranError(message) from error

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        payload = None if body is None else json.dumps(body).encode()
        try:
            response = self._pool.request(
                method, self._url + path, body=payload, timeout=self._timeout_s
            )
        except urllib3.exceptions.HTTPError as error:
            raise TrimaranError(
                f"the server at {self._url} does not answer {path}: {type(error).__name__}"
            ) from error
        text = response.data.decode(errors="replace")
        if denied := denial(self._endpoint, str(response.status), _reason(text)):
            raise denied
        if response.status != 200:
            raise TrimaranError(_reason(text) or f"{path} answered {response.status}")
        return json.loads(text) if text.strip() else {}


class _SilenceError(TrimaranError):
    """A call was accepted and not answered in time."""


def _reason(text: str) -> str:
    try:
        return str(json.loads(text)["error"])
    except (ValueError, KeyError, TypeError):
        return text.strip()
