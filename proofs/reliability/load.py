"""Good requests without a pause, over HTTP and gRPC, and what became of each.

    with Load(ports, [read_good(repository, "churn")]) as load:
        ...
    load.answers.summary()

A failure is a refused connection, a cut one, a time-out, an answer other than 200 or OK, or a wrong
answer. They are counted apart, since a client can repeat the first at once and waits for the third.
"""

from __future__ import annotations

import http.client
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import grpc  # type: ignore[import-untyped]
import numpy as np
from tritonclient.grpc import InferResult, service_pb2, service_pb2_grpc
from tritonclient.http import InferenceServerClient

from loadtests.encoding import HttpCall, grpc_request, json_call
from trimaran.repository.repository import Repository
from trimaran.serving.connections import grpc_channel
from trimaran.serving.golden import read_golden, unmet
from trimaran.system.endpoint import Endpoint, host_and_port

__all__ = [
    "BATCHED",
    "CUT",
    "REFUSED",
    "TIMED_OUT",
    "WRONG",
    "Answered",
    "Answers",
    "Good",
    "Load",
    "call_grpc",
    "call_http",
    "open_channel",
    "problem_of",
    "read_good",
]

REFUSED = "refused"
CUT = "cut off"
TIMED_OUT = "timed out"
BATCHED = "batched with a text longer than its tensor"
"""Triton's Python backend (2.51) checks the lengths of texts, and refuses the whole batch."""
WRONG = "wrong answer"

_PAUSE_S = 0.02
_CALM_S = 0.5
_BATCHED = "incomplete string data"
_LONGEST_WORDS = 200
_MOST_WORDS = 5
_DISORDER_S = 1.0
"""How far apart two answers at most are noted in the wrong order."""
_CLIENTS = 2
"""Clients of each protocol for each good request."""


@dataclass(frozen=True)
class Good:
    """A golden request of a model, ready to be sent on both protocols."""

    model: str
    call: HttpCall
    message: service_pb2.ModelInferRequest
    expect: Mapping[str, Mapping[str, Any]]

    def version_of(self, result: Any) -> str:
        """The version that answered. Raises `ValueError` where the answer is not the golden one."""
        for output, expectation in self.expect.items():
            problem = unmet(result.as_numpy(output), expectation)
            if problem:
                raise ValueError(f"{output} {problem}")
        response = result.get_response()
        version = (
            response["model_version"] if isinstance(response, dict) else response.model_version
        )
        return str(version)


def read_good(repository: Repository, model: str) -> Good:
    """A model's first golden request."""
    golden = read_golden(repository, repository.config(model))[0]
    message = grpc_request(model, "", golden.inputs)
    return Good(model, json_call(model, "", golden.inputs), message, golden.expect)


@dataclass(frozen=True)
class Answered:
    """One request: when it began (`time.monotonic`), how long it took, and how it failed."""

    began: float
    took_s: float
    model: str
    protocol: str
    problem: str = ""
    version: str = ""
    words: str = ""
    """What was said of a failure."""

    @property
    def ended(self) -> float:
        """When the answer, or the failure, was there."""
        return self.began + self.took_s


@dataclass
class Answers:
    """What became of requests, about in the order in which they ended."""

    all: list[Answered] = field(default_factory=list)

    def since(self, begin: float, end: float = float("inf")) -> Answers:
        """Those that ended in an interval of `time.monotonic`."""
        found = []
        for each in reversed(self.all):
            if each.ended < begin - _DISORDER_S:
                break
            if begin <= each.ended < end:
                found.append(each)
        return Answers(found[::-1])

    @property
    def failures(self) -> list[Answered]:
        """Those that failed."""
        return [each for each in self.all if each.problem]

    def summary(self) -> dict[str, Any]:
        """Counts, the kinds of failure, how long failures went on, and times in seconds."""
        failures = self.failures
        took = np.array([each.took_s for each in self.all if not each.problem])
        failing = failures[-1].ended - failures[0].began if failures else 0.0
        return {
            "good": len(self.all),
            "failed": len(failures),
            "problems": dict(Counter(each.problem for each in failures)),
            "words": sorted({each.words for each in failures if each.words})[:_MOST_WORDS],
            "failing_s": round(failing, 3),
            "p50_s": round(float(np.median(took)), 4) if len(took) else None,
            "p99_s": round(float(np.quantile(took, 0.99)), 4) if len(took) else None,
            "slowest_s": round(float(took.max()), 3) if len(took) else None,
        }


def problem_of(error: BaseException) -> str:
    """The kind of a failure, by the exception of either client; an unknown one is its name."""
    if isinstance(error, ConnectionRefusedError):
        return REFUSED
    if isinstance(error, TimeoutError):
        return TIMED_OUT
    if isinstance(error, (ConnectionError, http.client.HTTPException)):
        return CUT
    if isinstance(error, grpc.RpcError):  # with a code, where it comes of a call
        code, details = error.code(), (error.details() or "").lower()
        if code is grpc.StatusCode.DEADLINE_EXCEEDED:
            return TIMED_OUT
        if code is grpc.StatusCode.UNAVAILABLE:
            refused = "refused" in details or "failed to connect" in details
            return REFUSED if refused else CUT
        return f"gRPC {code.name}"
    return WRONG if isinstance(error, ValueError) else type(error).__name__


class Load:
    """Clients of `goods` during a block, each with one connection."""

    def __init__(
        self,
        endpoint: Endpoint,
        goods: Sequence[Good],
        *,
        timeout_s: float = 20.0,
        pause_s: float = _PAUSE_S,
    ) -> None:
        self.answers = Answers()
        self._endpoint = endpoint
        self._timeout_s = timeout_s
        self._pause_s = pause_s
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=run, args=(good,), daemon=True)
            for good in goods
            for run in (self._over_http, self._over_grpc)
            for _ in range(_CLIENTS)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(self._timeout_s + 5)

    def is_calm(self) -> bool:
        """Whether the clients were answered of late, and none failed."""
        latest = self.answers.since(time.monotonic() - _CALM_S)
        return len(latest.all) >= len(self._threads) and not latest.failures

    def _over_http(self, good: Good) -> None:
        connection: http.client.HTTPConnection | None = None

        def ask() -> str:
            nonlocal connection
            if connection is None:
                connection = _http_connection(self._endpoint, self._timeout_s)
            status, body = call_http(connection, good.call, self._endpoint.headers)
            if status != 200:
                raise _StatusError(status, body)
            return good.version_of(InferenceServerClient.parse_response_body(body))

        def reset() -> None:
            nonlocal connection
            if connection is not None:
                connection.close()
            connection = None

        self._repeat(good.model, "http", ask, reset)
        reset()

    def _over_grpc(self, good: Good) -> None:
        metadata = tuple(self._endpoint.headers.items())
        with open_channel(self._endpoint) as channel:
            infer = service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer
            self._repeat(
                good.model,
                "grpc",
                lambda: good.version_of(
                    InferResult(infer(good.message, timeout=self._timeout_s, metadata=metadata))
                ),
                _nothing,
            )

    def _repeat(
        self, model: str, protocol: str, ask: Callable[[], str], reset: Callable[[], None]
    ) -> None:
        while not self._stopping.wait(self._pause_s):
            began = time.monotonic()
            problem = version = words = ""
            try:
                version = ask()
            except _StatusError as error:
                problem, words = f"HTTP {error.status}", error.words
            except Exception as error:
                problem, words = problem_of(error), _words_of(error)
                reset()
            if _BATCHED in words:
                problem = BATCHED
            took_s = time.monotonic() - began
            self.answers.all.append(
                Answered(began, took_s, model, protocol, problem, version, words)
            )


class _StatusError(Exception):
    """An answer with another status than 200."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(status)
        self.status = status
        self.words = body[:_LONGEST_WORDS].decode(errors="replace")


def _words_of(error: Exception) -> str:
    words = error.details() or "" if isinstance(error, grpc.RpcError) else str(error)
    return words[:_LONGEST_WORDS]


def _nothing() -> None:
    """A gRPC channel connects again by itself."""


def _http_connection(endpoint: Endpoint, timeout_s: float) -> http.client.HTTPConnection:
    host, port = host_and_port(endpoint.http)
    if endpoint.secure:
        context = endpoint.context()
        return http.client.HTTPSConnection(host, port, timeout=timeout_s, context=context)
    return http.client.HTTPConnection(host, port, timeout=timeout_s)


def open_channel(endpoint: Endpoint) -> grpc.Channel:
    """A connection of its own that tries again at once after a refusal."""
    options = [
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.enable_http_proxy", 0),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 200),
        ("grpc.min_reconnect_backoff_ms", 5000),
        ("grpc.max_receive_message_length", -1),
    ]
    return grpc_channel(endpoint, options)


def call_http(
    connection: http.client.HTTPConnection, call: HttpCall, of_endpoint: Mapping[str, str]
) -> tuple[int, bytes]:
    """POST `call`; the status and the body. Raises `OSError` or `HTTPException`."""
    headers = {"Content-Type": "application/json", **of_endpoint, **call.headers}
    connection.request("POST", call.path, call.body, headers)
    response = connection.getresponse()
    return response.status, response.read()


def call_grpc(
    channel: grpc.Channel, method: str, message: bytes, timeout_s: float
) -> tuple[str, bytes]:
    """Send the bytes of a message; the name of the status, and its details or the answer."""
    call = channel.unary_unary(method)
    try:
        return "OK", call(message, timeout=timeout_s) or b""
    except grpc.RpcError as error:
        found = problem_of(error)
        status = found if found in (REFUSED, CUT, TIMED_OUT) else error.code().name
        return status, (error.details() or "").encode()
