"""Which requests pass, to where, and which scope a token needs for each.

What no route names is refused. A model's routes are the same over plain REST, KServe and gRPC, and
each may be split between clusters by weight. Over gRPC the model's name is in the message: the
first route of such a call has no model, and when `lua/requests.lua` has read the name, Envoy
chooses again.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from envoy_data_plane.envoy.config.core.v3 import DataSource, Metadata
from envoy_data_plane.envoy.config.route.v3 import (
    DirectResponseAction,
    FilterConfig,
    HeaderMatcher,
    Route,
    RouteAction,
    RouteConfiguration,
    RouteMatch,
    RouteMatchGrpcRouteMatchOptions,
    VirtualHost,
)
from envoy_data_plane.envoy.extensions.filters.http.buffer.v3 import Buffer, BufferPerRoute
from envoy_data_plane.envoy.extensions.filters.http.ext_proc.v3 import (
    ExtProcOverrides,
    ExtProcPerRoute,
)
from envoy_data_plane.envoy.type.matcher.v3 import RegexMatchAndSubstitute, StringMatcher

from trimaran.gateway.clients import Client
from trimaran.gateway.clusters import cluster_name, shadow_name
from trimaran.gateway.messages import (
    any_of,
    header,
    regex,
    struct,
)
from trimaran.gateway.offered import Offered
from trimaran.gateway.retries import NO_ANSWER, NOT_RUN, retries, retries_elsewhere
from trimaran.gateway.scopes import guard
from trimaran.gateway.settings import Limits, Settings
from trimaran.rollout.shadow.copies import MOST_COPIED
from trimaran.rollout.traffic.split import Split
from trimaran.serving.access import grpc_headers, http_headers

__all__ = [
    "BODIES",
    "ISSUED_BY",
    "MODEL",
    "STREAM",
    "SUBJECT",
    "Page",
    "route_table",
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

_GRPC = "/inference.GRPCInferenceService/"
_UNARY = f"{_GRPC}ModelInfer"
STREAM = f"{_GRPC}ModelStreamInfer"
_VERSION = "(/versions/[1-9][0-9]*)?"
_NAME = "[A-Za-z_][A-Za-z0-9_.-]{0,127}"
_OPEN_CALLS = (
    *(f"{_GRPC}{method}" for method in ("ServerLive", "ServerReady")),
    "/grpc.health.v1.Health/Check",
)
_METADATA_CALLS = tuple(
    f"{_GRPC}{method}"
    for method in (
        "ServerMetadata",
        "ModelReady",
        "ModelMetadata",
        "ModelConfig",
        "ModelStatistics",
    )
)
_ADMIN_CALLS = (
    "Repository(Index|ModelLoad|ModelUnload)",
    "(System|Cuda)SharedMemory(Status|Register|Unregister)",
    "(TraceSetting|LogSettings)",
)
_ADMIN_PATHS = (
    f"/v2/repository/(index|models/{_NAME}/(load|unload))",
    "/v2/(system|cuda)sharedmemory(/region/[^/]{1,200})?/(status|register|unregister)",
    f"/v2/(models/{_NAME}/)?trace/setting",
    "/v2/logging",
)
_ADMIN_S = 600
_SMALL, _MEDIUM = 1 << 13, 1 << 20
"""Bytes of a body where no model is asked; of a call, Triton may repeat them in a header."""
_NOT_FOUND, _NOT_ALLOWED = 404, 405


@dataclass(frozen=True)
class Page:
    """A text that the gateway itself answers; `scope` is empty for everybody."""

    path: str
    text: str
    content_type: str
    scope: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


def route_table(
    settings: Settings,
    models: Sequence[Offered],
    secrets: Mapping[str, str],
    digest_key: str,
    pages: Iterable[Page] = (),
    splits: Iterable[Split] = (),
) -> RouteConfiguration:
    """Every route, in the order in which Envoy tries them.

    `secrets` has each server's name, and what opens its APIs that change it. `digest_key` is that
    of the digests of clients that `gateway.toml` does not name.
    """
    pages = tuple(pages)
    split = {each.model: each for each in splits}
    divided = {each.model for each in split.values() if not each.is_shadow}
    routes = [
        *(_page(page, settings) for page in pages),
        *_open_routes(),
        *(each for model in models for each in _routes_of(model, settings, model.name in divided)),
        *_calls_without_model(settings, models),
        *_metadata_routes(settings, models),
        *_admin_routes(settings, secrets),
        *_other_methods(models, [page.path for page in pages]),
        _nothing(),
    ]
    facts = {
        "digest_key": digest_key,
        "most_bytes": {each.name: settings.limits_of(each.name).body_mb << 20 for each in models},
        "clients": {_known_as(client): True for client in settings.clients},
        "splits": {model: _divided(each) for model, each in split.items()},
    }
    return RouteConfiguration(
        name="routes",
        virtual_hosts=[
            VirtualHost(
                name="models",
                domains=["*"],
                routes=routes,
                metadata=Metadata(filter_metadata={LUA: struct(facts)}),
            )
        ],
        request_headers_to_remove=[SUBJECT, ISSUED_BY],
        max_direct_response_body_size_bytes=1 << 24,
    )


def _divided(split: Split) -> dict[str, Any]:
    """What `lua/requests.lua` chooses an arm by."""
    return {
        "experiment": split.experiment,
        "share": split.share,
        "parts": split.parts,
        "header": split.header,
        "digest_key": split.digest_key,
        "shadow": shadow_name(split.model) if split.is_shadow else "",
        "most_copied": MOST_COPIED,
    }


def _routes_of(model: Offered, settings: Settings, is_split: bool) -> Iterator[Route]:
    """The routes of one model: those to a candidate, and of clients with own limits, come first."""
    name, limits = model.name, settings.limits_of(model.name)
    counted = [each for each in settings.clients if each.concurrent_requests]
    arms = (True, False) if is_split else (False,)
    for candidate, client in itertools.product(arms, (*counted, None)):
        only = [_has(ARM, "candidate")] if candidate else []
        only += [_has(SUBJECT, client.subject)] if client else []
        only += [_has(ISSUED_BY, client.issuer)] if client and client.issuer else []
        for kind, match, rewrite in _ways(name, is_default=name == settings.default_model):
            for each in only:
                match.headers.append(each)
            protocol = "grpc" if kind == "call" else "http"
            action = RouteAction(
                cluster=cluster_name(
                    protocol, name, client.name if client else "", candidate=candidate
                ),
                timeout=timedelta(seconds=0 if kind == "events" else limits.timeout_s),
                retry_policy=retries_elsewhere(limits.timeout_s)
                if candidate
                else retries(NOT_RUN if model.stateful else NO_ANSWER),
            )
            if rewrite:
                action.regex_rewrite = RegexMatchAndSubstitute(
                    pattern=regex("^[^?]*"), substitution=rewrite
                )
            yield _route(
                f"{kind} {name}",
                match,
                action,
                settings,
                scope=f"infer:{name}",
                kind=kind,
                limits=limits,
                model=name,
                steps=model.steps,
            )


def _known_as(client: Client) -> str:
    """How `lua/requests.lua` finds a client that it may name."""
    return f"{client.subject} {client.issuer}" if client.issuer else client.subject


def _ways(model: str, *, is_default: bool) -> Iterator[tuple[str, RouteMatch, str]]:
    """How one asks a model: what to match, and the path for Triton where it is another."""
    quoted = re.escape(model)
    kserve = f"/v2/models/{model}"
    post = [_method("POST")]
    yield "predict", RouteMatch(path=f"/models/{model}/predict", headers=post), f"{kserve}/generate"
    if is_default:
        yield "predict", RouteMatch(path="/predict", headers=post), f"{kserve}/generate"
    inferring = f"/v2/models/{quoted}{_VERSION}/(infer|generate)"
    yield "infer", RouteMatch(safe_regex=regex(inferring), headers=post), ""
    events = f"/v2/models/{quoted}{_VERSION}/generate_stream"
    yield "events", RouteMatch(safe_regex=regex(events), headers=post), ""
    yield "call", _call(path=_UNARY, headers=[_has(MODEL, model)]), ""


def _calls_without_model(settings: Settings, models: Sequence[Offered]) -> Iterator[Route]:
    """A call before its model is known, and streams, whose every message is looked at."""
    largest = [settings.limits_of(model.name) for model in models] or [settings.limits]
    most = max(largest, key=lambda limits: limits.body_mb)
    yield _route(
        "call", _call(path=_UNARY), RouteAction(cluster="grpc"), settings, "infer", "call", most
    )
    action = RouteAction(cluster="grpc", timeout=timedelta())
    yield _route("stream", _call(path=STREAM), action, settings, "infer", "stream", model="stream")


def _open_routes() -> Iterator[Route]:
    """What a load balancer may ask without a token."""
    for path in ("/health/live", "/health/ready", "/v2/health/live", "/v2/health/ready"):
        action = RouteAction(
            cluster="http", timeout=timedelta(seconds=5), retry_policy=retries(NOT_RUN)
        )
        action.prefix_rewrite = path if path.startswith("/v2") else f"/v2{path}"
        match = RouteMatch(path=path, headers=[_method("GET")])
        yield _route("health", match, action, None, "", "health")
    for path in _OPEN_CALLS:
        action = RouteAction(
            cluster="grpc", timeout=timedelta(seconds=5), retry_policy=retries(NOT_RUN)
        )
        yield _route("health", _call(path=path), action, None, "", "health")


def _metadata_routes(settings: Settings, models: Sequence[Offered]) -> Iterator[Route]:
    names = "|".join(re.escape(model.name) for model in models)
    default = settings.default_model
    get = [_method("GET")]
    paths = {f"/models/{model.name}/metadata": f"/v2/models/{model.name}" for model in models}
    paths |= {"/metadata": f"/v2/models/{default}"} if default else {}
    for path, kserve in paths.items():
        action = _asking("http")
        action.prefix_rewrite = kserve
        yield _route(
            "metadata", RouteMatch(path=path, headers=get), action, settings, "metadata", "predict"
        )
    for pattern in (
        "/v2/?",
        *([f"/v2/models/({names}){_VERSION}(/(config|stats|ready))?"] if names else []),
    ):
        match = RouteMatch(safe_regex=regex(pattern), headers=get)
        yield _route("metadata", match, _asking("http"), settings, "metadata", "infer")
    for path in _METADATA_CALLS:
        yield _route(
            "metadata", _call(path=path), _asking("grpc"), settings, "metadata", "metadata"
        )


def _admin_routes(settings: Settings, secrets: Mapping[str, str]) -> Iterator[Route]:
    """What changes a server: of the only one, or of one by name below `/servers/NAME`."""
    for server, secret in secrets.items():
        alone = len(secrets) == 1
        kinds: list[tuple[str, Sequence[str], Mapping[str, str]]] = [
            ("http", _ADMIN_PATHS, http_headers(secret))
        ]
        if alone:
            calls = tuple(f"{re.escape(_GRPC)}{call}" for call in _ADMIN_CALLS)
            kinds.append(("grpc", calls, grpc_headers(secret)))
        for protocol, patterns, headers in kinds:
            for pattern in patterns:
                prefix = "" if alone else f"/servers/{re.escape(server)}"
                made = _call if protocol == "grpc" else RouteMatch
                match = made(safe_regex=regex(prefix + pattern))
                action = RouteAction(
                    cluster=cluster_name(protocol, client=server),
                    timeout=timedelta(seconds=_ADMIN_S),
                )
                if prefix:
                    shorter = RegexMatchAndSubstitute(pattern=regex("^/servers/[^/]+"))
                    action.regex_rewrite = shorter
                route = _route("admin", match, action, settings, "admin", "admin")
                route.request_headers_to_add.extend(header(*each) for each in headers.items())
                yield route


def _asking(protocol: str) -> RouteAction:
    return RouteAction(
        cluster=protocol, timeout=timedelta(seconds=30), retry_policy=retries(NO_ANSWER)
    )


def _page(page: Page, settings: Settings) -> Route:
    route = Route(
        name="page",
        match=RouteMatch(path=page.path, headers=[_method("GET")]),
        direct_response=DirectResponseAction(status=200, body=DataSource(inline_string=page.text)),
        response_headers_to_add=[
            header("content-type", page.content_type),
            *(header(name, value) for name, value in page.headers.items()),
        ],
    )
    guard(route, settings, page.scope)
    return route


def _other_methods(models: Sequence[Offered], pages: Iterable[str]) -> Iterator[Route]:
    """Paths that are asked by another method than theirs."""
    names = "|".join(re.escape(model.name) for model in models)
    kserve = f"/v2/models/({names}){_VERSION}"
    got = [re.escape(page) for page in pages]
    got += ["(/v2)?/health/(live|ready)", "/v2/?", "/metadata"]
    got += [f"/models/({names})/metadata", f"{kserve}(/(config|stats|ready))?"]
    posted = ["/predict", f"/models/({names})/predict"]
    posted += [f"{kserve}/(infer|generate|generate_stream)"]
    for method, patterns in (("GET", got), ("POST", posted)):
        route = Route(
            name="unknown",
            match=RouteMatch(safe_regex=regex("|".join(patterns))),
            direct_response=DirectResponseAction(
                status=_NOT_ALLOWED,
                body=DataSource(inline_string=f"this path is asked by {method}; use that method"),
            ),
            response_headers_to_add=[header("allow", method)],
        )
        guard(route, None, "")
        yield route


def _nothing() -> Route:
    """What no other route names."""
    route = Route(
        name="unknown",
        match=RouteMatch(prefix="/"),
        direct_response=DirectResponseAction(status=_NOT_FOUND),
    )
    guard(route, None, "")
    return route


def _route(
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


def _call(headers: Sequence[HeaderMatcher] = (), **match: Any) -> RouteMatch:
    """What is sent as gRPC; Triton resets a call that is not."""
    grpc = RouteMatchGrpcRouteMatchOptions()
    return RouteMatch(grpc=grpc, headers=[_method("POST"), *headers], **match)


def _method(name: str) -> HeaderMatcher:
    return _has(":method", name)


def _has(name: str, value: str) -> HeaderMatcher:
    return HeaderMatcher(name=name, string_match=StringMatcher(exact=value))
