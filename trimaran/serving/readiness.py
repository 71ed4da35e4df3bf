"""Whether a server should be sent requests: what a balancer asks every second.

    GET /ready    200    ready
    GET /ready    503    not ready: churn_features (a stub died or hangs; it is reloaded)
    GET /ready/models    {"ready": ["churn", ...], "missing": {"churn_features": "a stub died ..."}}

The second one is for a balancer that chooses a server for each model.

Triton's own `/v2/health/ready` stays 200 where a stub is dead, and until Triton ends.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from http import HTTPStatus
from threading import Event, Lock

from trimaran.serving.control import Control
from trimaran.system.errors import TrimaranError
from trimaran.system.http_server import Reply

__all__ = ["Readiness", "obstacles"]

_SILENT = "tritonserver does not answer"
_FRESH_S = 0.25
"""For how long an answer of Triton serves all who ask."""


def obstacles(
    promised: Iterable[str], ready: Collection[str] | None, ailing: Collection[str]
) -> Mapping[str, str]:
    """Why each promised model that does not answer does not; nothing where all do.

    `ready` has the models of which Triton says that a version is ready, or `None` where it does not
    answer; `ailing` those of which a stub is known to be dead.
    """
    if ready is None:
        return dict.fromkeys(sorted(promised), _SILENT)
    return {
        model: "a stub died or hangs; it is reloaded" if model in ready else "not loaded"
        for model in sorted(promised)
        if model in ailing or model not in ready
    }


class Readiness:
    """The readiness of one server. Threads may share it.

    `ailing` says which models have a stub that is dead or being replaced.
    """

    def __init__(
        self,
        promised: Collection[str],
        control: Control,
        ailing: Callable[[], Collection[str]],
    ) -> None:
        self._promised = promised
        self._control = control
        self._ailing = ailing
        self._stopping = Event()
        self._lock = Lock()
        self._asked_at = -_FRESH_S
        self._ready: Collection[str] | None = None

    def stop(self) -> None:
        """Answer from now on that the server is about to end."""
        self._stopping.set()

    def reply(self) -> Reply:
        """200, or 503 with what is missing."""
        if self._stopping.is_set():
            return Reply(HTTPStatus.SERVICE_UNAVAILABLE, b"stopping\n")
        ready, missing = self._found()
        if ready is None:
            return Reply(HTTPStatus.SERVICE_UNAVAILABLE, f"not ready: {_SILENT}\n".encode())
        if missing:
            words = ", ".join(f"{model} ({why})" for model, why in missing.items())
            return Reply(HTTPStatus.SERVICE_UNAVAILABLE, f"not ready: {words}\n".encode())
        return Reply(body=b"ready\n")

    def models(self) -> Reply:
        """Which models answer, and why others do not, as JSON; 503 where none does."""
        if self._stopping.is_set():
            return Reply(HTTPStatus.SERVICE_UNAVAILABLE, b"stopping\n")
        ready, missing = self._found()
        if ready is None:
            return Reply(HTTPStatus.SERVICE_UNAVAILABLE, f"{_SILENT}\n".encode())
        found = {"ready": sorted(set(ready) - set(missing)), "missing": missing}
        return Reply(body=json.dumps(found).encode(), content_type="application/json")

    def _found(self) -> tuple[Collection[str] | None, Mapping[str, str]]:
        # Also so that many who ask a server that hangs wait for one call only.
        with self._lock:
            if time.monotonic() - self._asked_at >= _FRESH_S:
                try:
                    states = self._control.index()
                    self._ready = {state.name for state in states if state.state == "READY"}
                except TrimaranError:
                    self._ready = None
                self._asked_at = time.monotonic()
            ready = self._ready
        return ready, obstacles(self._promised, ready, self._ailing())
