"""The catalogue's queries about the gateway, which `trimaran gateway up` answers scrapes about."""

from __future__ import annotations

from monitoring.query import Query, rate

__all__ = ["GATEWAY_QUERIES"]

_SECTION = "Gateway"
_REQUESTS = "trimaran_gateway_requests"
_TOOK = "trimaran_gateway_request_us"
_REFUSED = f'{_REQUESTS}{{reason!=""}}'
_LIMITED = f'{_REQUESTS}{{model!="",reason=~"rate|concurrency"}}'
_RETRIED = 'envoy_cluster_upstream_rq_retry{model!=""}'
_ASKED = '{model!="",kind!="events"}'
"""Requests with one answer: a stream's duration is that of the stream."""


def _with_answer(promql: str) -> str:
    """Requests with the label `answer`: `2xx`, or for a call that failed `grpc 7`."""
    classes = f'label_replace({promql}, "answer", "$${{1}}xx", "status", "([1-5])..")'
    return f'label_replace({classes}, "answer", "grpc $$1", "grpc_status", "([1-9][0-9]*)")'


def _quantile(share: str) -> str:
    buckets = rate(f"{_TOOK}_bucket{_ASKED}", "model, le")
    return f"histogram_quantile({share}, {buckets}) / 1e6"


GATEWAY_QUERIES = (
    Query(
        "gateway_requests",
        "requests/s at the gateway",
        f"sum by (model, answer) ({_with_answer(f'rate({_REQUESTS}[$window])')})",
        "requests/s",
        "Requests per second through the gateway, by what was answered: the class of HTTP's "
        "status, or gRPC's status of a call that failed. Without a model: all that names none.",
        ("model", "answer"),
        _SECTION,
    ),
    Query(
        "gateway_refusals",
        "refused by the gateway",
        rate(_REFUSED, "model, reason"),
        "requests/s",
        "Requests per second that the gateway answered by itself, by reason: no valid token, its "
        "scope, the rate, the concurrency, the form, unknown paths, no server, clients that left.",
        ("model", "reason"),
        _SECTION,
    ),
    Query(
        "gateway_limited",
        "limited",
        rate(_LIMITED, "model"),
        "requests/s",
        "Requests per second that a limit refused (429), by rate or concurrency.",
        ("model",),
        _SECTION,
    ),
    Query(
        "gateway_mean",
        "mean at the gateway",
        f"{rate(f'{_TOOK}_sum{_ASKED}', 'model')} / 1e6 "
        f"/ ({rate(f'{_TOOK}_count{_ASKED}', 'model')} > 0)",
        "s",
        "The mean time of an answered request in the gateway, with the server's.",
        ("model",),
        _SECTION,
    ),
    *(
        Query(
            f"gateway_p{share[2:].ljust(2, '0')}",
            f"p{share[2:].ljust(2, '0')} at the gateway",
            _quantile(share),
            "s",
            f"The {share} quantile of that time, between the limits of a histogram's buckets.",
            ("model",),
            _SECTION,
        )
        for share in ("0.5", "0.99")
    ),
    Query(
        "gateway_active",
        "at once",
        'sum by (model, client) (envoy_cluster_upstream_rq_active{model!=""})',
        "requests",
        "Requests that servers work on now, by model, and by client where it has a limit of its "
        "own.",
        ("model", "client"),
        _SECTION,
    ),
    Query(
        "gateway_retries",
        "retries",
        f"{rate(_RETRIED, 'model')} > 0",
        "requests/s",
        "Requests per second that were sent again, since a server had not run them.",
        ("model",),
        _SECTION,
    ),
    Query(
        "gateway_ejections",
        "ejections",
        "max by (protocol) "
        "(increase(envoy_cluster_outlier_detection_ejections_enforced_total[$window])) > 0",
        "1",
        "How often a server got no requests for a while, since it did not answer one.",
        ("protocol",),
        _SECTION,
    ),
    Query(
        "gateway_server_ready",
        "servers that are ready",
        "max by (server) (trimaran_gateway_server_ready)",
        "1",
        "1 while a server may be asked, by its name in `gateway.toml`.",
        ("server",),
        _SECTION,
    ),
    Query(
        "gateway_connections",
        "connections to the gateway",
        'sum (envoy_http_downstream_cx_active{envoy_http_conn_manager_prefix="gateway"})',
        "1",
        "Clients' connections.",
        (),
        _SECTION,
    ),
)
