"""The boundary around each request of a batch: what one of them raises fails no other.

| raised | code | message |
|---|---|---|
| `BusyError` | `UNAVAILABLE`: 503 over HTTP | its own |
| `RefusedError` | `INVALID_ARG`: 400 over HTTP | its own, of bounded length |
| `FaultError` | `INTERNAL`: 500 over HTTP | its own, of bounded length |
| anything else | `INTERNAL`: 500 over HTTP | its kind; the server's log has all |
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import triton_python_backend_utils as pb_utils

from trimaran.served.refusal import BusyError, FaultError, RefusedError, shortened

__all__ = ["Failed", "attempt"]

_MOST_SENT = 1_000
_MOST_LOGGED = 10_000
"""Characters."""
_LAST_CALLS = 10

Argument = TypeVar("Argument")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Failed:
    """What a request raised."""

    error: Exception

    def response(self, step: str = "", where: str = "") -> pb_utils.InferenceResponse:
        """The answer to the request.

        `step` is the name of a model that is a step of ensembles: Triton names the ensemble alone.
        `where` precedes the message of a refusal.
        """
        if isinstance(self.error, RefusedError):
            words, code = f"{where}{self.error}", pb_utils.TritonError.INVALID_ARG
            if isinstance(self.error, BusyError):
                code = pb_utils.TritonError.UNAVAILABLE
        else:
            whole = "".join(traceback.format_exception(self.error, limit=-_LAST_CALLS))
            pb_utils.Logger.log_error(_sendable(whole, _MOST_LOGGED))
            is_fault = isinstance(self.error, FaultError)
            words = str(self.error) if is_fault else _unexpected(self.error)
            code = pb_utils.TritonError.INTERNAL
        named = f"{step}: {words}" if step else words
        return pb_utils.InferenceResponse([], pb_utils.TritonError(_sendable(named), code))


def attempt(function: Callable[[Argument], Result], argument: Argument) -> Result | Failed:
    """The function's result, or what it raised."""
    try:
        return function(argument)
    except Exception as error:  # whatever it is, the other requests are answered
        return Failed(error)


def _unexpected(error: Exception) -> str:
    """The kind of an error, without its message, which may hold paths of the server."""
    return (
        f"the model failed on this request ({type(error).__name__}); the server's log has the cause"
    )


def _sendable(words: str, most: int = _MOST_SENT) -> str:
    """Words that UTF-8 can hold, in bounded length."""
    return shortened(words, most).encode(errors="backslashreplace").decode()
