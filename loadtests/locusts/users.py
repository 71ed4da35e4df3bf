"""Locust's users, a class for each protocol, and how many there are over time."""

from __future__ import annotations

import functools
import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import gevent.ssl  # type: ignore[import-untyped]
import grpc  # type: ignore[import-untyped]
from locust import FastHttpUser, LoadTestShape, User, constant, constant_throughput, task
from locust.exception import CatchResponseError, StopUser

from loadtests.locusts.calls import Call, grpc_words, http_words, open_channel
from loadtests.locusts.settings import LEAST_SECONDS
from trimaran.system.endpoint import Endpoint

__all__ = ["BinaryHttpUser", "CurveShape", "GrpcUser", "JsonHttpUser", "Load", "TritonUser"]

_NO_ANSWER_PAUSE_S = 0.1
"""Before a user tries a server again that did not accept its request."""
_GOLDEN = 0.6180339887498949
_USERS, _SECONDS = 10, 60
"""Of a shape without `--users` or `--run-time`."""


@dataclass
class Load:
    """What this process's users send, and how often."""

    endpoint: Endpoint
    calls: Mapping[str, Iterator[Call]]
    """By protocol, endless; all users of a process share them."""
    user_rate: float | None
    """Requests per second of one user; `None` for as many as are answered."""
    timeout_s: float
    users: Iterator[int] = field(default_factory=itertools.count)
    """The numbers of users, in order of their start."""


class TritonUser(User):
    """Sends the next prepared request, waits for its answer, and then until its next one is due."""

    abstract = True
    protocol: ClassVar[str]
    load: ClassVar[Load | None] = None
    _pace: Callable[[Any], float]

    def on_start(self) -> None:
        """Start at another time than the other users, so that they do not all send at once."""
        if self.load is None or self.protocol not in self.load.calls:
            raise StopUser
        self._pace = constant(0)
        rate = self.load.user_rate
        if rate is not None:
            gevent.sleep(next(self.load.users) * _GOLDEN % 1 / rate)
            self._pace = constant_throughput(rate)
            self._cp_last_run = time.perf_counter()

    def wait_time(self) -> float:
        """Seconds until this user's next request is due."""
        return self._pace(self)

    @task
    def infer(self) -> None:
        """One request. A failure has the server's message."""
        if self.load is not None:
            self.send(next(self.load.calls[self.protocol]), self.load)

    def send(self, call: Call, load: Load) -> None:
        """Send it, and fire Locust's request event."""
        raise NotImplementedError


class _HttpUser(TritonUser, FastHttpUser):
    abstract = True
    concurrency = 1

    def __init__(self, environment: Any) -> None:
        if self.load is not None:
            self.connection_timeout = self.network_timeout = self.load.timeout_s
            if self.load.endpoint.secure:
                self.insecure = False
                self.ssl_context_factory = functools.partial(_context, self.load.endpoint)
        super().__init__(environment)

    def send(self, call: Call, load: Load) -> None:
        url = load.endpoint.url(call.path)
        with self.client.post(
            url,
            data=call.body,  # type: ignore[arg-type]
            headers={**load.endpoint.headers, **call.headers},
            name=call.name,
            catch_response=True,
        ) as response:
            status = response.status_code
            if status and status != 200:
                response.failure(http_words(status, response.content or b""))
        if not status:
            gevent.sleep(_NO_ANSWER_PAUSE_S)


class BinaryHttpUser(_HttpUser):
    """KServe v2 over HTTP with binary tensors."""

    protocol = "http"


class JsonHttpUser(_HttpUser):
    """KServe v2 over HTTP in JSON."""

    protocol = "json"


class GrpcUser(TritonUser):
    """KServe v2 over gRPC; each user has its own connection."""

    protocol = "grpc"
    _channel: grpc.Channel | None = None
    _method: Callable[[str], grpc.UnaryUnaryMultiCallable]

    def on_start(self) -> None:
        """Open the connection."""
        super().on_start()
        if self.load is not None:
            self._channel = open_channel(self.load.endpoint)
            self._method = functools.cache(self._channel.unary_unary)

    def on_stop(self) -> None:
        """Close it."""
        if self._channel is not None:
            self._channel.close()

    def send(self, call: Call, load: Load) -> None:
        """A unary call on bytes."""
        failure: Exception | None = None
        answer, reached = b"", True
        start_time, began_s = time.time(), time.perf_counter()
        try:
            metadata = tuple(load.endpoint.headers.items())
            answer = self._method(call.path)(call.body, timeout=load.timeout_s, metadata=metadata)
        except grpc.RpcError as error:
            failure = CatchResponseError(grpc_words(error))
            reached = error.code() is not grpc.StatusCode.UNAVAILABLE
        taken_s = time.perf_counter() - began_s
        self.environment.events.request.fire(
            request_type="gRPC",
            name=call.name,
            response_time=taken_s * 1e3,
            response_length=len(answer),
            response=None,
            context=self.context(),
            exception=failure,
            start_time=start_time,
            url=call.path,
        )
        if not reached:
            gevent.sleep(_NO_ANSWER_PAUSE_S)


def _context(endpoint: Endpoint, cafile: str | None = None) -> Any:
    """A context of gevent's; `cafile` are the system's certificates."""
    return gevent.ssl.create_default_context(cafile=endpoint.ca or cafile)


class CurveShape(LoadTestShape):
    """A curve as Locust's shape, scaled to `--users` and `--run-time`.

    Locust makes every change within a second.
    """

    abstract = True
    use_common_options = True
    curve: ClassVar[Any]
    """A `Curve`."""

    def tick(self) -> tuple[int, float] | None:
        """How many users there should be now, and the spawn rate; `None` at the end."""
        options = self.runner.environment.parsed_options if self.runner else None
        users = int(getattr(options, "num_users", None) or _USERS)
        seconds = max(int(getattr(options, "run_time", None) or _SECONDS), LEAST_SECONDS)
        at = self.get_run_time()  # type: ignore[no-untyped-call]
        if at >= seconds:
            return None
        return type(self).curve(users, seconds, at), float(users)
