"""Which servers are ready, asked again and again, and with which addresses.

A server with a supervisor says which of its models answer; another one is asked for its readiness
and for that of each model. So a server gets the requests of the models that it has.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from http import HTTPStatus

import urllib3

from trimaran.gateway.offered import Offered
from trimaran.gateway.settings import ServerAddress
from trimaran.gateway.trying import Trying

__all__ = ["Health", "State", "missing_models"]

_PERIOD_S = 0.5
_TIMEOUT_S = 2.0
_SILENT = 3
"""How many times in a row a server must not answer in time before it counts as not ready."""
_MOST_AT_ONCE = 16
_LONGEST_REASON = 200


@dataclass(frozen=True)
class State:
    """A server with numeric addresses, and why it gets no requests, or none for some models."""

    server: ServerAddress
    problem: str = ""
    missing: Mapping[str, str] = field(default_factory=dict)
    """Why a model does not answer there, by its name."""

    def has(self, model: Offered) -> bool:
        """Whether it answers requests of a model, an ensemble with all its steps."""
        return not self.problem and self.missing.keys().isdisjoint((model.name, *model.steps))


class Health:
    """Asks the servers in a thread of its own; `changed` is called with old and new states."""

    def __init__(
        self,
        wanted: Callable[[], Mapping[ServerAddress, Collection[Offered]]],
        changed: Callable[[Mapping[str, State], Mapping[str, State]], None],
        trying: Trying,
    ) -> None:
        """`wanted` gives the servers, and the models to ask each for.

        Where `changed` raises a `TrimaranError` or an `OSError`, `trying` says so, and it is called
        again half a second later.
        """
        self._wanted = wanted
        self._changed = changed
        self._states: dict[str, State] = {}
        self._told = True
        self._trying = trying
        self._silent: dict[str, int] = {}
        self._pool = urllib3.PoolManager(retries=False, timeout=_TIMEOUT_S, maxsize=4)
        self._executor = ThreadPoolExecutor(_MOST_AT_ONCE, thread_name_prefix="health")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="health", daemon=True)

    def __enter__(self) -> Health:
        self.look()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._executor.shutdown()
        self._pool.clear()

    @property
    def states(self) -> Mapping[str, State]:
        """What was found last, by the servers' names."""
        return self._states

    def look(self) -> None:
        """Ask all servers once."""
        wanted = self._wanted()
        found = list(self._executor.map(self._state, wanted.keys(), wanted.values()))
        states = {state.server.name: state for state in found}
        if states != self._states or not self._told:
            before, self._states = self._states, states
            self._told = False
            self._changed(before, states)
            self._told = True

    def _run(self) -> None:
        while not self._stop.wait(_PERIOD_S):
            self._trying.is_done(self.look)

    def _state(self, server: ServerAddress, models: Collection[Offered]) -> State:
        known = self._states.get(server.name)
        try:
            numeric = replace(
                server,
                http=_resolved(server.http),
                grpc=_resolved(server.grpc),
                ready=_resolved(server.ready) if server.ready else None,
            )
            problem, missing = self._asked(numeric, models)
        except OSError as error:
            return State(server, f"its name is not known: {error.strerror}")
        except urllib3.exceptions.TimeoutError:
            self._silent[server.name] = self._silent.get(server.name, 0) + 1
            if known and not known.problem and self._silent[server.name] < _SILENT:
                return known
            return State(numeric, f"it does not answer within {_TIMEOUT_S:g} s")
        except urllib3.exceptions.HTTPError:
            problem, missing = "nothing answers there", {}
        self._silent[server.name] = 0
        return State(numeric, problem, missing)

    def _asked(
        self, server: ServerAddress, models: Collection[Offered]
    ) -> tuple[str, Mapping[str, str]]:
        """Why a server answers nothing, or why some models do not."""
        if server.ready:
            status, text = self._ask(server.ready, "/ready/models")
            if status != HTTPStatus.OK:
                return text[:_LONGEST_REASON] or f"it answers {status}", {}
            return "", missing_models(text, models)
        if self._ask(server.http, "/v2/health/live")[0] != HTTPStatus.OK:
            return "it is not live", {}
        ready = {
            model.name
            for model in models
            if self._ask(server.http, f"/v2/models/{model.name}/ready")[0] == HTTPStatus.OK
        }
        return "", {model.name: "not ready" for model in models if model.name not in ready}

    def _ask(self, place: tuple[str, int], path: str) -> tuple[int, str]:
        host = f"[{place[0]}]" if ":" in place[0] else place[0]
        response = self._pool.request("GET", f"http://{host}:{place[1]}{path}")
        return response.status, response.data.decode(errors="replace").strip()


def missing_models(text: str, models: Collection[Offered]) -> Mapping[str, str]:
    """Why models do not answer, by what a supervisor says of them."""
    try:
        said = json.loads(text)
        ready, missing = set(said["ready"]), {str(k): str(v) for k, v in said["missing"].items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {model.name: "its supervisor does not say whether it answers" for model in models}
    lacking = {model.name: "not served there" for model in models if model.name not in ready}
    return {**lacking, **missing}


def _resolved(place: tuple[str, int]) -> tuple[str, int]:
    host, port = place
    return str(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][4][0]), port
