"""One route: what it matches, who may take it, and what the filters know of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from envoy_data_plane.envoy.config.core.v3 import Metadata
from envoy_data_plane.envoy.config.route.v3 import (
    FilterConfig,
    HeaderMatcher,
    Route,
    RouteAction,
    RouteMatch,
    RouteMatchGrpcRouteMatchOptions,
)
from envoy_data_plane.envoy.extensions.filters.http.buffer.v3 import Buffer, BufferPerRoute
from envoy_data_plane.envoy.extensions.filters.http.ext_proc.v3 import (
    ExtProcOverrides,
    ExtProcPerRoute,
)
from envoy_data_plane.envoy.type.matcher.v3 import StringMatcher

from trimaran.gateway.messages import (
    any_of,
    struct,
)
from trimaran.gateway.scopes import guard
from trimaran.gateway.settings import Limits, Settings

__all__ = [
    "ARM",
    "BODIES",
    "ISSUED_BY",
    "LUA",
    "MESSAGES",
    "MODEL",
    "SUBJECT",
    "call",
    "has",
    "make_route",
    "method",
]

BODIES = "envoy.filters.http.buffer"
MESSAGES = "envoy.filters.http.ext_proc"
LUA = "envoy.filters.http.lua"
"""The filters that a route sets."""
MODEL = "x-trimaran-model"
ARM = "x-trimaran-arm"
SUBJECT = "x-trimaran-subject"
ISSUED_BY = "x-trimaran-issued-by"
"""Headers that the gateway sets, and removes from what clients send."""

_SMALL, _MEDIUM = 1 << 13, 1 << 20
"""Bytes of a body where no model is asked; of a call, Triton may repeat them in a header."""


def make_route(
    name: str,
    match: RouteMatch,
    action: RouteAction,
    settings: Settings | None,
    scope: str,
    kind: str,
    limits: Limits | None = None,
    model: str = "",
    steps: Iterable[str] = (),
) -> Route:
    """A route of a kind, of a model if it has one, for whom has the scope.

    Without `limits` its requests have no large body. `steps` are those of an ensemble.
    """
    route = Route(name=name, match=match, route=action)
    facts: dict[str, Any] = {"kind": kind, "model": model, "scope": scope}
    facts["steps"] = dict.fromkeys(steps, True)
    facts["counted"] = model if model and kind != "stream" else f"/{name}"
    route.metadata = Metadata(filter_metadata={LUA: struct(facts)})
    after = kind == "call" and bool(model)
    guard(route, settings, scope, after_reading=after, kept_closed=kind == "call" and not model)
    if limits is not None:
        most = limits.body_mb << 20
    else:
        small = kind == "health" or (match.grpc is not None and scope != "admin")
        most = _SMALL if small else _MEDIUM
    bodies = BufferPerRoute(buffer=Buffer(max_request_bytes=most))
    if kind == "stream":
        bodies = BufferPerRoute(disabled=True)
        looked_at = FilterConfig(config=any_of(ExtProcPerRoute(overrides=ExtProcOverrides())))
        route.typed_per_filter_config[MESSAGES] = any_of(looked_at)
    route.typed_per_filter_config[BODIES] = any_of(bodies)
    return route


def call(headers: Sequence[HeaderMatcher] = (), **match: Any) -> RouteMatch:
    """What is sent as gRPC; Triton resets a call that is not."""
    grpc = RouteMatchGrpcRouteMatchOptions()
    return RouteMatch(grpc=grpc, headers=[method("POST"), *headers], **match)


def method(name: str) -> HeaderMatcher:
    """Requests of a method."""
    return has(":method", name)


def has(name: str, value: str) -> HeaderMatcher:
    """Requests whose header is a text."""
    return HeaderMatcher(name=name, string_match=StringMatcher(exact=value))
