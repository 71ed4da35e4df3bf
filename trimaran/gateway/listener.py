"""What happens to a request, in order: TLS, the token, scopes, bodies, the model's name, limits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from envoy.config.accesslog.v3.accesslog_pb2 import (
    AccessLog,
)
from envoy.config.common.mutation_rules.v3.mutation_rules_pb2 import HeaderMutation
from envoy.config.core.v3.base_pb2 import (
    DataSource,
    RuntimeFractionalPercent,
    TransportSocket,
)
from envoy.config.core.v3.config_source_pb2 import ExtensionConfigSource
from envoy.config.core.v3.extension_pb2 import TypedExtensionConfig
from envoy.config.core.v3.grpc_service_pb2 import GrpcService
from envoy.config.core.v3.protocol_pb2 import Http2ProtocolOptions, HttpProtocolOptions
from envoy.config.listener.v3.listener_components_pb2 import Filter, FilterChain
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.config.rbac.v3.rbac_pb2 import RBAC
from envoy.config.route.v3.route_components_pb2 import RateLimit
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.extensions.common.ratelimit.v3.ratelimit_pb2 import (
    LocalRateLimitDescriptor,
    RateLimitDescriptor,
)
from envoy.extensions.filters.http.buffer.v3.buffer_pb2 import Buffer
from envoy.extensions.filters.http.ext_proc.v3.ext_proc_pb2 import (
    ExternalProcessor,
    MetadataOptions,
)
from envoy.extensions.filters.http.ext_proc.v3.processing_mode_pb2 import ProcessingMode
from envoy.extensions.filters.http.jwt_authn.v3.config_pb2 import JwtAuthentication
from envoy.extensions.filters.http.local_ratelimit.v3.local_rate_limit_pb2 import LocalRateLimit
from envoy.extensions.filters.http.lua.v3.lua_pb2 import Lua
from envoy.extensions.filters.http.rbac.v3 import rbac_pb2 as rbac
from envoy.extensions.filters.http.router.v3.router_pb2 import Router
from envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2 as manager,
)
from envoy.extensions.http.early_header_mutation.header_mutation.v3.header_mutation_pb2 import (
    HeaderMutation as EarlyHeaderMutation,
)
from envoy.extensions.transport_sockets.tls.v3.common_pb2 import (
    CertificateValidationContext,
    TlsCertificate,
    TlsParameters,
)
from envoy.extensions.transport_sockets.tls.v3.tls_pb2 import (
    CommonTlsContext,
    DownstreamTlsContext,
)
from envoy.type.matcher.v3.string_pb2 import StringMatcher
from envoy.type.metadata.v3.metadata_pb2 import MetadataKey
from envoy.type.v3.http_status_pb2 import HttpStatus
from envoy.type.v3.percent_pb2 import FractionalPercent
from envoy.type.v3.token_bucket_pb2 import TokenBucket
from google.protobuf.wrappers_pb2 import BoolValue, UInt32Value

from trimaran.gateway.answers import audit_log, own_answers
from trimaran.gateway.clients import Client
from trimaran.gateway.clusters import to_address
from trimaran.gateway.counting import counts_of_requests
from trimaran.gateway.messages import any_of, header, seconds, watched
from trimaran.gateway.offered import Offered
from trimaran.gateway.routes import (
    BODIES,
    ISSUED_BY,
    LUA,
    MESSAGES,
    SUBJECT,
)
from trimaran.gateway.scopes import SCOPES, SCOPES_OF_CALLS, TOKENS
from trimaran.gateway.settings import Settings
from trimaran.gateway.streams import MOST_STREAMS

__all__ = ["Tls", "listener"]

_LIMITS = "envoy.filters.http.local_ratelimit"
_HEADERS_S = 10.0
_BODY_S = 60.0
"""How long a client may take to send a request."""
_IDLE_S = 300.0
_LOOK_S = 30.0
"""How long a look at a message may take, which may wait for its client's rate."""
_LARGEST_BYTES = 1 << 30
_PARTS = 4
"""The largest answer, and what is read ahead of a connection, is this part of the memory."""
_MOST_CLIENTS = 10_000
"""Clients whose requests are counted apart at once."""
_MANY = 429
_HEALTH_A_SECOND = 1000
_APART, _HEALTH = ("/stream", "/metadata", "/admin"), "/health"
"""What is counted for a client apart from its models, and what is counted for an address."""
_HEADERS_KB = 16
"""Of all headers of a request; Triton ends the connection at a longer line."""
_UNWANTED = (
    "accept-encoding",
    "grpc-accept-encoding",
    "grpc-encoding",
    "grpc-previous-rpc-attempts",
    "grpc-retry-pushback-ms",
)
"""An answer that Triton compresses hides the version that gave it; some values end a call there."""


@dataclass(frozen=True)
class Tls:
    """The files of a certificate, and of who signs those of clients.

    `digest` is of their content, so that a renewed certificate is another configuration to Envoy.
    """

    certificate: Path
    key: Path
    client_ca: Path | None = None
    digest: str = ""


def listener(
    settings: Settings,
    tls: Tls,
    tokens: JwtAuthentication | str,
    models: Sequence[Offered],
    routes: RouteConfiguration | str,
    audit: str,
) -> Listener:
    """The listener; `tokens` and `routes` are in it, or in files that may change while it listens.

    `audit` is the file of the audit log.
    """
    connections = manager.HttpConnectionManager(
        stat_prefix="gateway",
        http_filters=list(_filters(settings, tokens, models)),
        common_http_protocol_options=HttpProtocolOptions(
            idle_timeout=seconds(_IDLE_S),
            headers_with_underscores_action=HttpProtocolOptions.REJECT_REQUEST,
        ),
        http2_protocol_options=Http2ProtocolOptions(
            max_concurrent_streams=UInt32Value(value=MOST_STREAMS),
            initial_stream_window_size=UInt32Value(value=1 << 20),
            initial_connection_window_size=UInt32Value(value=1 << 24),
        ),
        max_request_headers_kb=UInt32Value(value=_HEADERS_KB),
        request_headers_timeout=seconds(_HEADERS_S),
        request_timeout=seconds(_BODY_S),
        stream_idle_timeout=seconds(_IDLE_S),
        use_remote_address=BoolValue(value=True),
        normalize_path=BoolValue(value=True),
        merge_slashes=True,
        path_with_escaped_slashes_action=manager.HttpConnectionManager.REJECT_REQUEST,
        early_header_mutation_extensions=[_stripped()],
        generate_request_id=BoolValue(value=True),
        preserve_external_request_id=True,
        always_set_request_id_in_response=True,
        local_reply_config=own_answers(),
        access_log=[
            AccessLog(name="audit", typed_config=any_of(audit_log(audit))),
            *counts_of_requests(),
        ],
    )
    if isinstance(routes, str):
        connections.rds.CopyFrom(
            manager.Rds(config_source=watched(routes), route_config_name="routes")
        )
    else:
        connections.route_config.CopyFrom(routes)
    chain = FilterChain(
        name=tls.digest,
        filters=[
            Filter(
                name="envoy.filters.network.http_connection_manager",
                typed_config=any_of(connections),
            )
        ],
        transport_socket=TransportSocket(
            name="envoy.transport_sockets.tls", typed_config=any_of(_tls(tls))
        ),
    )
    return Listener(
        name="gateway",
        address=to_address(settings.listen.address, settings.listen.port),
        filter_chains=[chain],
        per_connection_buffer_limit_bytes=UInt32Value(
            value=min((settings.listen.memory_mb << 20) // _PARTS, _LARGEST_BYTES)
        ),
    )


def _tls(tls: Tls) -> DownstreamTlsContext:
    context = CommonTlsContext(
        tls_params=TlsParameters(tls_minimum_protocol_version=TlsParameters.TLSv1_2),
        alpn_protocols=["h2", "http/1.1"],
        tls_certificates=[
            TlsCertificate(
                certificate_chain=DataSource(filename=str(tls.certificate)),
                private_key=DataSource(filename=str(tls.key)),
            )
        ],
    )
    if tls.client_ca:
        trust = CertificateValidationContext(trusted_ca=DataSource(filename=str(tls.client_ca)))
        context.validation_context.CopyFrom(trust)
    return DownstreamTlsContext(
        common_tls_context=context,
        require_client_certificate=BoolValue(value=tls.client_ca is not None),
    )


def _stripped() -> TypedExtensionConfig:
    """Headers that only the gateway itself may set, and those that Triton ends a call for."""
    removed = [StringMatcher(prefix=each) for each in ("x-trimaran-", "x-envoy-")]
    removed += [StringMatcher(prefix="triton-"), StringMatcher(prefix="trimaran-")]
    removed += [StringMatcher(suffix="-bin"), *(StringMatcher(exact=each) for each in _UNWANTED)]
    mutations = [
        HeaderMutation(remove_on_match=HeaderMutation.RemoveOnMatch(key_matcher=each))
        for each in removed
    ]
    return TypedExtensionConfig(
        name="envoy.http.early_header_mutation.header_mutation",
        typed_config=any_of(EarlyHeaderMutation(mutations=mutations)),
    )


def _filters(
    settings: Settings, tokens: JwtAuthentication | str, models: Sequence[Offered]
) -> Iterator[manager.HttpFilter]:
    nobody = rbac.RBAC(rules=RBAC(action=RBAC.ALLOW))
    folder = files("trimaran.gateway") / "lua"
    code = "".join(
        (folder / name).read_text()
        for name in ("digest.lua", "json.lua", "requests.lua", "answers.lua")
    )
    yield _tokens(tokens)
    for name, config in (
        (SCOPES, nobody),
        (BODIES, Buffer(max_request_bytes=UInt32Value(value=1 << 20))),
        (LUA, Lua(default_source_code=DataSource(inline_string=code))),
        (SCOPES_OF_CALLS, nobody),
        (MESSAGES, _messages()),
        (_LIMITS, _limits(settings, models)),
        ("envoy.filters.http.router", Router()),
    ):
        yield manager.HttpFilter(name=name, typed_config=any_of(config), disabled=name == MESSAGES)


def _tokens(tokens: JwtAuthentication | str) -> manager.HttpFilter:
    if isinstance(tokens, str):
        source = ExtensionConfigSource(
            config_source=watched(tokens), type_urls=[any_of(JwtAuthentication()).type_url]
        )
        return manager.HttpFilter(name=TOKENS, config_discovery=source)
    return manager.HttpFilter(name=TOKENS, typed_config=any_of(tokens))


def _messages() -> ExternalProcessor:
    """Where the messages of a stream are looked at; without an answer, nothing passes."""
    service = GrpcService(envoy_grpc=GrpcService.EnvoyGrpc(cluster_name="streams"))
    mode = ProcessingMode(
        request_header_mode=ProcessingMode.SEND,
        response_header_mode=ProcessingMode.SKIP,
        request_body_mode=ProcessingMode.STREAMED,
        response_body_mode=ProcessingMode.NONE,
        request_trailer_mode=ProcessingMode.SKIP,
        response_trailer_mode=ProcessingMode.SKIP,
    )
    claims = MetadataOptions.MetadataNamespaces(untyped=[TOKENS])
    return ExternalProcessor(
        grpc_service=service,
        processing_mode=mode,
        message_timeout=seconds(_LOOK_S),
        metadata_options=MetadataOptions(forwarding_namespaces=claims),
    )


def _limits(settings: Settings, models: Sequence[Offered]) -> LocalRateLimit:
    """Requests a second: one count for each client at each model."""
    descriptors = []
    for model in (*(each.name for each in models), *_APART):
        limits = settings.limits_of(model)
        for client in (*settings.clients, None):
            rate = (client and client.requests_per_second) or limits.requests_per_second
            for issuer, subject in _counted_as(client, settings):
                entries = [
                    _entry("issuer", issuer),
                    _entry("client", subject),
                    _entry("model", model),
                ]
                descriptors.append(
                    LocalRateLimitDescriptor(entries=entries, token_bucket=_bucket(rate))
                )
    entries = [_entry("remote_address", ""), _entry("model", _HEALTH)]
    descriptors.append(
        LocalRateLimitDescriptor(entries=entries, token_bucket=_bucket(_HEALTH_A_SECOND))
    )
    return LocalRateLimit(
        stat_prefix="limits",
        status=HttpStatus(code=_MANY),
        token_bucket=_bucket(1_000_000_000),
        filter_enabled=_always(),
        filter_enforced=_always(),
        response_headers_to_add=[header("retry-after", "1")],
        descriptors=descriptors,
        rate_limits=[_counted(), _counted_by_address()],
        rate_limited_as_resource_exhausted=True,
        max_dynamic_descriptors=UInt32Value(value=_MOST_CLIENTS),
    )


def _entry(key: str, value: str) -> RateLimitDescriptor.Entry:
    return RateLimitDescriptor.Entry(key=key, value=value)


def _counted_as(client: Client | None, settings: Settings) -> list[tuple[str, str]]:
    """The issuers and subjects of a client, or of each other one, for which Envoy has a blank."""
    if client is None:
        return [("", "")]
    issuers = [client.issuer] if client.issuer else settings.issuer_names
    return [(issuer, client.subject) for issuer in issuers]


def _counted() -> RateLimit:
    """What a request counts for: its client, at the model of its route."""
    action = RateLimit.Action
    return RateLimit(
        actions=[
            action(
                request_headers=action.RequestHeaders(
                    header_name=ISSUED_BY, descriptor_key="issuer"
                )
            ),
            action(
                request_headers=action.RequestHeaders(header_name=SUBJECT, descriptor_key="client")
            ),
            _of_the_route(),
        ]
    )


def _counted_by_address() -> RateLimit:
    """Who needs no token is known by the address alone."""
    action = RateLimit.Action
    return RateLimit(actions=[action(remote_address=action.RemoteAddress()), _of_the_route()])


def _of_the_route() -> RateLimit.Action:
    kind = RateLimit.Action.MetaData
    counted = MetadataKey(key=LUA, path=[MetadataKey.PathSegment(key="counted")])
    return RateLimit.Action(
        metadata=kind(descriptor_key="model", metadata_key=counted, source=kind.ROUTE_ENTRY)
    )


def _bucket(rate: int) -> TokenBucket:
    return TokenBucket(
        max_tokens=rate, tokens_per_fill=UInt32Value(value=rate), fill_interval=seconds(1)
    )


def _always() -> RuntimeFractionalPercent:
    return RuntimeFractionalPercent(
        default_value=FractionalPercent(numerator=100, denominator=FractionalPercent.HUNDRED)
    )
