"""Which servers are ready, asked again and again, and with which addresses.

A server with a supervisor says so itself; another one is asked for its readiness and for that of
each offered model.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import urllib3

from trimaran.gateway.settings import ServerAddress

__all__ = ["Health", "State"]

_PERIOD_S = 0.5
_TIMEOUT_S = 2.0
_SILENT = 3
"""How many times in a row a server must not answer in time before it counts as not ready."""
_MOST_AT_ONCE = 16


@dataclass(frozen=True)
class State:
    """A server with numeric addresses; `problem` is empty if it is ready."""

    server: ServerAddress
    problem: str = ""


class Health:
    """Asks the servers in a thread of its own; `changed` is called with old and new states."""

    def __init__(
        self,
        wanted: Callable[[], tuple[Iterable[ServerAddress], Collection[str]]],
        changed: Callable[[Mapping[str, State], Mapping[str, State]], None],
    ) -> None:
        """`wanted` gives the servers and the models that each must have ready."""
        self._wanted = wanted
        self._changed = changed
        self._states: dict[str, State] = {}
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
        servers, models = self._wanted()
        found = list(self._executor.map(lambda server: self._state(server, models), servers))
        states = {state.server.name: state for state in found}
        if states != self._states:
            before, self._states = self._states, states
            self._changed(before, states)

    def _run(self) -> None:
        while not self._stop.wait(_PERIOD_S):
            self.look()

    def _state(self, server: ServerAddress, models: Collection[str]) -> State:
        known = self._states.get(server.name)
        try:
            numeric = replace(
                server,
                http=_resolved(server.http),
                grpc=_resolved(server.grpc),
                ready=_resolved(server.ready) if server.ready else None,
            )
            problem = self._problem(numeric, models)
        except OSError as error:
            return State(server, f"its name is not known: {error.strerror}")
        except urllib3.exceptions.TimeoutError:
            self._silent[server.name] = self._silent.get(server.name, 0) + 1
            if known and not known.problem and self._silent[server.name] < _SILENT:
                return known
            return State(numeric, f"it does not answer within {_TIMEOUT_S:g} s")
        except urllib3.exceptions.HTTPError:
            problem = "nothing answers there"
        self._silent[server.name] = 0
        return State(numeric, problem)

    def _problem(self, server: ServerAddress, models: Collection[str]) -> str:
        """Why a server is not ready; empty if it is."""
        if server.ready:
            status, text = self._ask(server.ready, "/ready")
            return "" if status == 200 else text or f"it answers {status}"
        if self._ask(server.http, "/v2/health/ready")[0] != 200:
            return "it is not ready"
        missing = [
            model
            for model in models
            if self._ask(server.http, f"/v2/models/{model}/ready")[0] != 200
        ]
        return f"not ready: {', '.join(missing)}" if missing else ""

    def _ask(self, place: tuple[str, int], path: str) -> tuple[int, str]:
        host = f"[{place[0]}]" if ":" in place[0] else place[0]
        response = self._pool.request("GET", f"http://{host}:{place[1]}{path}")
        return response.status, response.data[:200].decode(errors="replace").strip()


def _resolved(place: tuple[str, int]) -> tuple[str, int]:
    host, port = place
    return str(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][4][0]), port
