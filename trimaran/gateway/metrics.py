"""The gateway's metrics for Prometheus, on loopback: Envoy's own, and which server is ready.

Envoy's admin interface, which can also change it, stays at its Unix socket. What it counts for each
request gets the label `reason`, which is empty where a server answered:

| reason | why the gateway answered itself |
|---|---|
| `token` | there is no token, or no valid one |
| `scope` | the token does not allow it |
| `rate` | too many requests a second |
| `concurrency` | too many requests at once |
| `form` | a path, a header, a body or its size that cannot be |
| `unknown` | nothing is served under this path and method |
| `server` | no server was ready, answered, or did so in time |
| `client` | the client went away |
| `other` | anything else; the label `why` has Envoy's own word |
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from urllib.parse import quote

from trimaran.gateway.counting import COUNTED, PREFIX
from trimaran.gateway.health import State
from trimaran.rollout.traffic.split import CANDIDATE_SHARE, SERVER_READY, Split
from trimaran.system.errors import TrimaranError
from trimaran.system.http_server import Reply, Request, serving

__all__ = ["METRICS_HOST", "metrics_text", "reason_of", "serving_metrics"]

METRICS_HOST = "127.0.0.1"
_QUESTION = f"/stats/prometheus?filter={quote(COUNTED, safe='')}"
_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_NO_MODEL = 'model="stream",'
"""Of streams, whose messages name their own models."""
_REQUESTS = re.compile(
    rf'^{PREFIX}_requests{{(?P<of>.*,status="(?P<status>\d*)".*,why="(?P<why>.*)")}}', re.MULTILINE
)
_REASONS = (
    ("jwt_authn_", "token"),
    ("rbac_|stream_refused", "scope"),
    (".*rate_limited", "rate"),
    (".*overflow", "concurrency"),
    ("downstream_|http[123][.]remote_re", "client"),
    ("upstream_|no_healthy_upstream|cluster_not_found|response_", "server"),
    ("request_|path_|missing_|http[123][.]|codec_error|lua_response", "form"),
)
"""The first that matches how Envoy's word begins."""


def reason_of(why: str, status: int) -> str:
    """Why the gateway answered by itself, by Envoy's word; empty where it did as it should."""
    if why == "via_upstream":
        return ""
    if why == "direct_response":
        return "unknown" if status == HTTPStatus.NOT_FOUND else ""
    return next((reason for words, reason in _REASONS if re.match(words, why)), "other")


def metrics_text(envoys: str, states: Mapping[str, State], splits: Iterable[Split] = ()) -> str:
    """What Prometheus reads: Envoy's answer, where ours have their names, servers and splits."""
    lines = [f"# TYPE {SERVER_READY} gauge"]
    lines += [
        f'{SERVER_READY}{{server="{name}"}} {0 if state.problem else 1}'
        for name, state in sorted(states.items())
    ]
    lines.append(f"# TYPE {CANDIDATE_SHARE} gauge")
    lines += [
        f'{CANDIDATE_SHARE}{{model="{each.model}",experiment="{each.experiment}"}} {each.share!r}'
        for each in splits
    ]
    named = envoys.replace(f"envoy_{PREFIX}_", f"{PREFIX}_").replace(_NO_MODEL, 'model="",')
    return _REQUESTS.sub(_with_reason, named) + "\n".join(lines) + "\n"


def _with_reason(found: re.Match[str]) -> str:
    reason = reason_of(found["why"], int(found["status"] or 0))
    return f'{PREFIX}_requests{{{found["of"]},reason="{reason}"}}'


@contextmanager
def serving_metrics(
    port: int,
    ask: Callable[[str, str], str],
    states: Callable[[], Mapping[str, State]],
    splits: Callable[[], Iterable[Split]],
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
            text = metrics_text(ask("GET", _QUESTION), states(), splits())
        except TrimaranError as error:
            return Reply(HTTPStatus.SERVICE_UNAVAILABLE, f"{error}\n".encode())
        return Reply(HTTPStatus.OK, text.encode(), _TYPE)

    with serving(METRICS_HOST, port, answer):
        yield
