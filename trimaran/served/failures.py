"""Counts the requests that a Python model answers with an error.

Triton (2.51) counts such a request as a success, unlike one for which `execute` raises. So
`trimaran_failed_requests_total{model, version, reason="MODEL"}` counts it, and monitoring adds it
to Triton's own failures.
"""

from __future__ import annotations

import functools
import inspect
import json
import threading
from collections.abc import Awaitable, Mapping
from typing import Any, TypeVar

import triton_python_backend_utils as pb_utils

from trimaran.served.metrics import Family

__all__ = ["counted"]

Model = TypeVar("Model", bound=type)

_INTERVAL_S = 1.0
"""The least time between two reports: each may hold the interpreter for milliseconds."""
_ENDS_S = 10.0
_COUNTED = "_trimaran_counts_failures"


class _Failures:
    """Failed requests of one instance, reported from a separate thread that sleeps without any."""

    def __init__(self, args: Mapping[str, str]) -> None:
        family = Family(
            "trimaran_failed_requests_total", "Requests that a Python model answered with an error."
        )
        self._metric = family.metric(
            {"model": args["model_name"], "version": args["model_version"], "reason": "MODEL"}
        )
        self._lock = threading.Lock()
        self._unreported = 0
        self._failed, self._ended = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._report_until_ended, daemon=True)
        self._thread.start()

    def add(self, failed: int) -> None:
        """Count failed requests; the first are reported at once."""
        with self._lock:
            self._unreported += failed
        self._failed.set()

    def close(self) -> None:
        """Report the rest, while Triton still takes reports."""
        self._ended.set()
        self._failed.set()
        self._thread.join(_ENDS_S)

    def _report_until_ended(self) -> None:
        while not self._ended.is_set():
            self._failed.wait()
            self._failed.clear()
            self._report()
            self._ended.wait(_INTERVAL_S)
        self._report()

    def _report(self) -> None:
        with self._lock:
            failed, self._unreported = self._unreported, 0
        if failed:
            self._metric.increment(failed)


class _Sender:
    """A decoupled request's sender of responses, which counts the request once one has an error."""

    def __init__(self, sender: Any, failures: _Failures) -> None:
        self._sender = sender
        self._failures: _Failures | None = failures

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sender, name)

    def send(self, response: Any = None, flags: int = 0) -> None:
        if response is None:
            self._sender.send(flags=flags)
            return
        self._sender.send(response, flags)
        if self._failures and response.has_error():
            self._failures.add(1)
            self._failures = None


def counted(model: Model) -> Model:
    """The class `TritonPythonModel`, changed to count the requests that it answers with an error.

    A class that counts already stays as it is.
    """
    if hasattr(model, _COUNTED) or not hasattr(model, "execute"):
        return model
    methods: Any = model
    initialize = getattr(model, "initialize", None)
    execute = methods.execute
    finalize = getattr(model, "finalize", None)
    # Beside the instances: a class with `__slots__` has no room in them.
    failures: dict[int, _Failures] = {}

    def initialize_counting(self: Any, args: Mapping[str, str]) -> None:
        failures[id(self)] = own = _Failures(args)
        if _is_decoupled(args):
            _count_sent(own)
        if initialize:
            initialize(self, args)

    def execute_counting(self: Any, requests: Any) -> Any:
        responses = execute(self, requests)
        if inspect.isawaitable(responses):
            return _awaited(responses, failures.get(id(self)))
        return _seen(responses, failures.get(id(self)))

    def finalize_counting(self: Any) -> None:
        try:
            if finalize:
                finalize(self)
        finally:
            if own := failures.pop(id(self), None):
                own.close()

    methods.initialize = _named(initialize, initialize_counting)
    methods.execute = _named(execute, execute_counting)
    methods.finalize = _named(finalize, finalize_counting)
    setattr(model, _COUNTED, True)
    return model


def _is_decoupled(args: Mapping[str, str]) -> bool:
    policy = json.loads(args["model_config"]).get("model_transaction_policy") or {}
    return bool(policy.get("decoupled"))


def _count_sent(failures: _Failures) -> None:
    """Count the errors that this process sends by itself: it is that of one model."""
    kind: Any = pb_utils.InferenceRequest
    original = kind.get_response_sender
    kind.get_response_sender = lambda request: _Sender(original(request), failures)


async def _awaited(responses: Awaitable[Any], failures: _Failures | None) -> Any:
    return _seen(await responses, failures)


def _seen(responses: Any, failures: _Failures | None) -> Any:
    """The responses unchanged. A decoupled model returns none, and one that was sent is None."""
    failed = sum(1 for each in responses or () if each is not None and each.has_error())
    if failed and failures:
        failures.add(failed)
    return responses


def _named(original: Any, method: Any) -> Any:
    return functools.wraps(original)(method) if original else method
