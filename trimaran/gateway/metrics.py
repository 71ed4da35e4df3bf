"""The gateway's metrics for Prometheus, on loopback: Envoy's own, and which server is ready.

Envoy's admin interface, which can also change it, stays at its Unix socket.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from urllib.parse import quote

from trimaran.gateway.counting import COUNTED, PREFIX
from trimaran.gateway.health import State
from trimaran.system.errors import TrimaranError
from trimaran.system.http_server import Reply, Request, serving

__all__ = ["METRICS_HOST", "metrics_text", "serving_metrics"]

METRICS_HOST = "127.0.0.1"
_QUESTION = f"/stats/prometheus?filter={quote(COUNTED, safe='')}"
_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def metrics_text(envoys: str, states: Mapping[str, State]) -> str:
    """What Prometheus reads: Envoy's answer, where ours have their names, and the servers."""
    lines = [f"# TYPE {PREFIX}_server_ready gauge"]
    lines += [
        f'{PREFIX}_server_ready{{server="{name}"}} {0 if state.problem else 1}'
        for name, state in sorted(states.items())
    ]
    return envoys.replace(f"envoy_{PREFIX}_", f"{PREFIX}_") + "\n".join(lines) + "\n"


@contextmanager
def serving_metrics(
    port: int, ask: Callable[[str, str], str], states: Callable[[], Mapping[str, State]]
) -> Iterator[None]:
    """Answer scrapes during the block; `ask` asks Envoy's admin interface.

    Raises `OSError` where the port cannot be listened to.
    """

    def answer(request: Request) -> Reply:
        if request.path != "/metrics":
            return Reply(HTTPStatus.NOT_FOUND)
        if request.method != "GET":
            return Reply(HTTPStatus.METHOD_NOT_ALLOWED)
        try:
            text = metrics_text(ask("GET", _QUESTION), states())
        except TrimaranError as error:
            return Reply(HTTPStatus.SERVICE_UNAVAILABLE, f"{error}\n".encode())
        return Reply(HTTPStatus.OK, text.encode(), _TYPE)

    with serving(METRICS_HOST, port, answer):
        yield
