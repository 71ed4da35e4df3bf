"""What is measured: a model, one of its versions, over some protocol, or any URL."""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import tritonclient.grpc as triton_grpc
from tritonclient.grpc import service_pb2
from tritonclient.utils import InferenceServerException, serialize_byte_tensor, shared_memory

from loadtests.bench.wire import grpc_traffic, http_traffic
from loadtests.encoding import (
    HttpCall,
    generate_call,
    grpc_request,
    http_call,
    json_call,
)
from loadtests.generator.ceiling import Framing
from loadtests.generator.traffic import Traffic
from loadtests.payloads import Row, Rows, choose_rows
from loadtests.subject import Service, hidden_steps
from trimaran.repository import dtypes
from trimaran.repository.config import ModelConfig
from trimaran.serving.access import grpc_headers
from trimaran.serving.connections import grpc_connection
from trimaran.serving.control import Control
from trimaran.system.endpoint import Endpoint
from trimaran.system.errors import TrimaranError, UsageError
from trimaran.system.processes import cpu_s

__all__ = [
    "PROTOCOLS",
    "Payloads",
    "Target",
    "Wanted",
    "open_target",
    "url_target",
]

PROTOCOLS = ("http", "json", "generate", "http2", "json2", "generate2", "grpc", "shm")
"""KServe v2 with binary tensors, in JSON, Triton's flat JSON; the same three over HTTP/2; gRPC,
gRPC with shared memory."""

_HTTP: Mapping[str, Callable[[str, str, Row], HttpCall]] = {
    "http": http_call,
    "json": json_call,
    "generate": generate_call,
}
_FORM = re.compile(r"(?P<model>[^:@]+)(:(?P<version>\d+))?(@(?P<protocol>[a-z]+2?))?")


@dataclass(frozen=True)
class Wanted:
    """A target as a user names it: `MODEL[:VERSION][@PROTOCOL]`, or a URL."""

    model: str
    version: str = ""
    protocol: str = "http"
    url: str = ""

    @classmethod
    def parse(cls, text: str, protocol: str = "http") -> Wanted:
        """Read the name; `protocol` is the default. Raises `UsageError`."""
        if text.startswith(("http://", "https://")):
            return cls("", protocol="http", url=text)
        match = _FORM.fullmatch(text)
        if not match:
            raise UsageError(
                f"{text!r} names no target; write MODEL, MODEL:VERSION, MODEL@PROTOCOL or a URL"
            )
        chosen = match["protocol"] or protocol
        if chosen not in PROTOCOLS:
            raise UsageError(f"there is no protocol {chosen!r}; choose from {', '.join(PROTOCOLS)}")
        return cls(match["model"], match["version"] or "", chosen)

    @property
    def is_http2(self) -> bool:
        """Whether it is plain HTTP over HTTP/2."""
        return self.protocol.endswith("2")

    @property
    def over_http1(self) -> Wanted:
        """The same over HTTP/1.1, which every server speaks."""
        return replace(self, protocol=self.protocol.removesuffix("2"))

    @property
    def origin(self) -> str:
        """The URL without its path; the server's address."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"

    def __str__(self) -> str:
        if self.url:
            return self.url
        return self.model + (f":{self.version}" if self.version else "") + f"@{self.protocol}"


@dataclass(frozen=True)
class Payloads:
    """Which rows are sent: requests that are ready, a user's file, or drawn with a seed."""

    seed: int = 0
    count: int = 64
    batch: int = 1
    given: Path | None = None
    ready: Rows | None = None
    """Requests of `batch` rows each; the other fields are then without effect."""


@dataclass(frozen=True)
class Target:
    """What to load, and where its figures are read."""

    name: str
    protocol: str
    traffic: Traffic
    source: str
    """Where its payloads are from."""
    rows: int = 1
    pid: int | None = None
    gateway_pid: int | None = None
    """The process in front of the server, if its CPU counts too."""
    endpoint: Endpoint | None = None
    control: Control | None = None
    models: Sequence[str] = ()
    """The model and its steps, for Triton's statistics."""
    hidden: Sequence[str] = ()
    """Its steps without statistics."""
    sent: Sequence[Row] = ()
    """The arrays of the requests, in order."""

    @property
    def framing(self) -> Framing:
        """How its requests are framed."""
        if self.protocol in ("grpc", "shm"):
            return "grpc"
        return "http2" if self.protocol.endswith("2") else "http"

    @property
    def authority(self) -> str:
        """`HOST:PORT` of its protocol; empty where its endpoint is not known."""
        if self.endpoint is None:
            return ""
        return self.endpoint.grpc if self.framing == "grpc" else self.endpoint.http

    def cpu_s(self) -> float:
        """CPU seconds of the server's processes until now; 0 where they are not known."""
        return sum(cpu_s(pid) for pid in (self.pid, self.gateway_pid) if pid and self.pid)


@contextmanager
def open_target(wanted: Wanted, service: Service, payloads: Payloads) -> Iterator[Target]:
    """A served model, ready to be loaded. Raises `TrimaranError` where it is not served."""
    configs = service.models(wanted.model)
    config = configs[wanted.model]
    service.config(wanted.model, wanted.version)
    rows = _rows(config, service, payloads)
    endpoint = service.endpoint

    def target(traffic: Traffic, source: str) -> Target:
        return Target(
            name=str(wanted),
            protocol=wanted.protocol,
            traffic=traffic,
            source=source,
            rows=payloads.batch,
            pid=service.pid,
            endpoint=endpoint,
            control=service.control,
            models=tuple(configs),
            hidden=hidden_steps(configs),
            sent=rows.rows,
        )

    form = wanted.protocol.removesuffix("2")
    if form in _HTTP:
        encode = _HTTP[form]
        calls = [encode(wanted.model, wanted.version, row) for row in rows.rows]
        yield target(http_traffic(endpoint, calls, http2=wanted.is_http2), rows.source)
        return
    if wanted.protocol == "grpc":
        messages = [grpc_request(wanted.model, wanted.version, row) for row in rows.rows]
        yield target(grpc_traffic(endpoint, messages), rows.source)
        return
    if service.pid is None:
        raise TrimaranError("shared memory needs a server on this machine, found by its repository")
    with _shared_inputs(service, wanted.model, wanted.version, rows.rows) as messages:
        source = f"{rows.source}, inputs in shared memory"
        yield target(grpc_traffic(endpoint, messages), source)


def url_target(
    wanted: Wanted, endpoint: Endpoint, payload: Path | None, pid: int | None = None
) -> Target:
    """Any URL of `endpoint`: a POST of each file of `payload`, or a GET without one.

    `.json` files go as JSON, a `.jsonl` file as a request for each line, others as bytes. Raises
    `UsageError`.
    """
    parts = urlsplit(wanted.url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    calls = [HttpCall(path, *body) for body in _bodies(payload)] if payload else path
    source = f"{len(calls)} bodies of {payload}" if payload else "no body"
    traffic = http_traffic(endpoint, calls)
    return Target(wanted.url, "http", traffic, source, pid=pid, endpoint=endpoint)


def _rows(config: ModelConfig, service: Service, payloads: Payloads) -> Rows:
    if payloads.batch < 1:
        raise UsageError(f"--batch is {payloads.batch}; give at least 1")
    if payloads.batch > max(config.max_batch_size, 1):
        raise UsageError(
            f"--batch is {payloads.batch}; {config.name} takes at most "
            f"{max(config.max_batch_size, 1)} rows per request"
        )
    if payloads.ready is not None:
        return payloads.ready
    return choose_rows(
        config,
        count=payloads.count,
        seed=payloads.seed,
        given=payloads.given,
        repository=service.published,
    ).batches(payloads.batch)


def _bodies(path: Path) -> Sequence[tuple[bytes, Mapping[str, str]]]:
    try:
        files = (
            sorted(file for file in path.iterdir() if file.is_file()) if path.is_dir() else [path]
        )
        if path.suffix == ".jsonl":
            lines = path.read_bytes().removeprefix(codecs.BOM_UTF8).splitlines()
            return [(line, {"Content-Type": "application/json"}) for line in lines if line.strip()]
        bodies = [(file.read_bytes(), {"Content-Type": _content_type(file)}) for file in files]
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
    if not bodies:
        raise UsageError(f"{path} holds no files")
    return bodies


def _content_type(file: Path) -> str:
    kinds = {".json": "application/json", ".jpg": "image/jpeg", ".png": "image/png"}
    return kinds.get(file.suffix, "application/octet-stream")


@contextmanager
def _shared_inputs(
    service: Service, model: str, version: str, rows: Sequence[Row]
) -> Iterator[list[service_pb2.ModelInferRequest]]:
    """A request for each row. Its tensors are in one region, which is registered for the block.

    Raises `TrimaranError` where the server refuses the region.
    """
    name = f"trimaran_bench_{os.getpid()}"
    places: list[dict[str, tuple[bytes, int]]] = []
    size = 0
    for row in rows:
        place = {}
        for key, array in row.items():
            place[key] = (_bytes(array), size)
            size += len(place[key][0])
        places.append(place)
    region = shared_memory.create_shared_memory_region(name, f"/{name}", max(size, 1))
    client = grpc_connection(service.endpoint)
    headers = grpc_headers(service.secret)
    try:
        for place in places:
            for data, offset in place.values():
                shared_memory.set_shared_memory_region(
                    region, [np.frombuffer(data, np.uint8)], offset
                )
        try:
            client.register_system_shared_memory(name, f"/{name}", max(size, 1), headers=headers)
        except InferenceServerException as error:
            raise TrimaranError(f"the server takes no shared memory: {error.message()}") from error
        try:
            yield [
                _request(model, version, name, row, place)
                for row, place in zip(rows, places, strict=True)
            ]
        finally:
            _unregister(client, name, headers)
    finally:
        client.close()
        shared_memory.destroy_shared_memory_region(region)


def _request(
    model: str, version: str, region: str, row: Row, place: dict[str, tuple[bytes, int]]
) -> service_pb2.ModelInferRequest:
    request = service_pb2.ModelInferRequest(model_name=model, model_version=version)
    for name, array in row.items():
        data, offset = place[name]
        item = triton_grpc.InferInput(name, list(array.shape), dtypes.by_numpy(array.dtype).triton)
        item.set_shared_memory(region, len(data), offset)
        request.inputs.append(item._get_tensor())
    return request


def _bytes(array: np.ndarray) -> bytes:
    if array.dtype == object:
        return bytes(serialize_byte_tensor(array).item())
    return np.ascontiguousarray(array).tobytes()


def _unregister(
    client: triton_grpc.InferenceServerClient, name: str, headers: Mapping[str, str]
) -> None:
    """A server that went away has no region any more."""
    try:
        client.unregister_system_shared_memory(name, headers=headers)
    except InferenceServerException:
        return
