"""What happens to a request, in order: TLS, the token, scopes, bodies, the model's name, limits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from importlib.resources import files
from pathlib import Path

from envoy_data_plane.envoy.config.accesslog.v3 import AccessLog
from envoy_data_plane.envoy.config.common.mutation_rules.v3 import (
    HeaderMutation,
    HeaderMutationRemoveOnMatch,
)
from envoy_data_plane.envoy.config.core.v3 import (
    DataSource,
    ExtensionConfigSource,
    GrpcService,
    GrpcServiceEnvoyGrpc,
    Http2ProtocolOptions,
    HttpProtocolOptions,
    RuntimeFractionalPercent,
    TransportSocket,
    TypedExtensionConfig,
)
from envoy_data_plane.envoy.config.core.v3 import (
    HttpProtocolOptionsHeadersWithUnderscoresAction as UnderscoresAction,
)
from envoy_data_plane.envoy.config.listener.v3 import Filter, FilterChain, Listener
from envoy_data_plane.envoy.config.rbac.v3 import Rbac, RbacAction
from envoy_data_plane.envoy.config.route.v3 import (
    RateLimit,
    RateLimitAction,
    RateLimitActionMetaData,
    RateLimitActionMetaDataSource,
    RateLimitActionRemoteAddress,
    RateLimitActionRequestHeaders,
    RouteConfiguration,
)
from envoy_data_plane.envoy.extensions.common.ratelimit.v3 import (
    LocalRateLimitDescriptor,
    RateLimitDescriptorEntry,
)
from envoy_data_plane.envoy.extensions.filters.http.buffer.v3 import Buffer
from envoy_data_plane.envoy.extensions.filters.http.ext_proc.v3 import (
    ExternalProcessor,
    MetadataOptions,
    MetadataOptionsMetadataNamespaces,
    ProcessingMode,
    ProcessingModeBodySendMode,
    ProcessingModeHeaderSendMode,
)
from envoy_data_plane.envoy.extensions.filters.http.jwt_authn.v3 import JwtAuthentication
from envoy_data_plane.envoy.extensions.filters.http.local_ratelimit.v3 import LocalRateLimit
from envoy_data_plane.envoy.extensions.filters.http.lua.v3 import Lua
from envoy_data_plane.envoy.extensions.filters.http.rbac.v3 import Rbac as RbacFilter
from envoy_data_plane.envoy.extensions.filters.http.router.v3 import Router
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import (
    HttpConnectionManager,
    HttpFilter,
    Rds,
)
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import (
    HttpConnectionManagerPathWithEscapedSlashesAction as EscapedSlashesAction,
)
from envoy_data_plane.envoy.extensions.http.early_header_mutation.header_mutation.v3 import (
    HeaderMutation as EarlyHeaderMutation,
)
from envoy_data_plane.envoy.extensions.transport_sockets.tls.v3 import (
    CertificateValidationContext,
    CommonTlsContext,
    DownstreamTlsContext,
    TlsCertificate,
    TlsParameters,
    TlsParametersTlsProtocol,
)
from envoy_data_plane.envoy.type.matcher.v3 import StringMatcher
from envoy_data_plane.envoy.type.metadata.v3 import MetadataKey, MetadataKeyPathSegment
from envoy_data_plane.envoy.type.v3 import (
    FractionalPercent,
    FractionalPercentDenominatorType,
    HttpStatus,
    StatusCode,
    TokenBucket,
)

from trimaran.gateway.answers import own_answers
from trimaran.gateway.clients import Client
from trimaran.gateway.clusters import to_address
from trimaran.gateway.counting import counts_of_requests
from trimaran.gateway.messages import any_of, header, watched
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
_HEADERS = timedelta(seconds=10)
_BODY = timedelta(seconds=60)
"""How long a client may take to send a request."""
_IDLE = timedelta(seconds=300)
_LOOK = timedelta(seconds=30)
"""How long a look at a message may take, which may wait for its client's rate."""
_LARGEST_BYTES = 1 << 30
_PARTS = 4
"""The largest answer, and what is read ahead of a connection, is this part of the memory."""
_MOST_CLIENTS = 10_000
"""Clients whose requests are counted apart at once."""
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
    logs: Sequence[AccessLog],
) -> Listener:
    """The listener; `tokens` and `routes` are in it, or in files that may change while it listens.

    Each request leaves its line in `logs`.
    """
    connections = HttpConnectionManager(
        stat_prefix="gateway",
        http_filters=list(_filters(settings, tokens, models)),
        common_http_protocol_options=HttpProtocolOptions(
            idle_timeout=_IDLE,
            headers_with_underscores_action=UnderscoresAction.REJECT_REQUEST,
        ),
        http2_protocol_options=Http2ProtocolOptions(
            max_concurrent_streams=MOST_STREAMS,
            initial_stream_window_size=1 << 20,
            initial_connection_window_size=1 << 24,
        ),
        max_request_headers_kb=_HEADERS_KB,
        request_headers_timeout=_HEADERS,
        request_timeout=_BODY,
        stream_idle_timeout=_IDLE,
        use_remote_address=True,
        normalize_path=True,
        merge_slashes=True,
        path_with_escaped_slashes_action=EscapedSlashesAction.REJECT_REQUEST,
        early_header_mutation_extensions=[_stripped()],
        generate_request_id=True,
        preserve_external_request_id=True,
        always_set_request_id_in_response=True,
        local_reply_config=own_answers(),
        access_log=[*logs, *counts_of_requests()],
    )
    if isinstance(routes, str):
        connections.rds = Rds(config_source=watched(routes), route_config_name="routes")
    else:
        connections.route_config = routes
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
        per_connection_buffer_limit_bytes=min(
            (settings.listen.memory_mb << 20) // _PARTS, _LARGEST_BYTES
        ),
    )


def _tls(tls: Tls) -> DownstreamTlsContext:
    context = CommonTlsContext(
        tls_params=TlsParameters(tls_minimum_protocol_version=TlsParametersTlsProtocol.TLSv1_2),
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
        context.validation_context = trust
    return DownstreamTlsContext(
        common_tls_context=context,
        require_client_certificate=tls.client_ca is not None,
    )


def _stripped() -> TypedExtensionConfig:
    """Headers that only the gateway itself may set, and those that Triton ends a call for."""
    removed = [StringMatcher(prefix=each) for each in ("x-trimaran-", "x-envoy-")]
    removed += [StringMatcher(prefix="triton-"), StringMatcher(prefix="trimaran-")]
    removed += [StringMatcher(suffix="-bin"), *(StringMatcher(exact=each) for each in _UNWANTED)]
    mutations = [
        HeaderMutation(remove_on_match=HeaderMutationRemoveOnMatch(key_matcher=each))
        for each in removed
    ]
    return TypedExtensionConfig(
        name="envoy.http.early_header_mutation.header_mutation",
        typed_config=any_of(EarlyHeaderMutation(mutations=mutations)),
    )


def _filters(
    settings: Settings, tokens: JwtAuthentication | str, models: Sequence[Offered]
) -> Iterator[HttpFilter]:
    nobody = RbacFilter(rules=Rbac(action=RbacAction.ALLOW))
    folder = files("trimaran.gateway") / "lua"
    code = "".join(
        (folder / name).read_text()
        for name in ("digest.lua", "json.lua", "shadow.lua", "requests.lua", "answers.lua")
    )
    yield _tokens(tokens)
    for name, config in (
        (SCOPES, nobody),
        (BODIES, Buffer(max_request_bytes=1 << 20)),
        (LUA, Lua(default_source_code=DataSource(inline_string=code))),
        (SCOPES_OF_CALLS, nobody),
        (MESSAGES, _messages()),
        (_LIMITS, _limits(settings, models)),
        ("envoy.filters.http.router", Router()),
    ):
        yield HttpFilter(name=name, typed_config=any_of(config), disabled=name == MESSAGES)


def _tokens(tokens: JwtAuthentication | str) -> HttpFilter:
    if isinstance(tokens, str):
        source = ExtensionConfigSource(
            config_source=watched(tokens), type_urls=[any_of(JwtAuthentication()).type_url]
        )
        return HttpFilter(name=TOKENS, config_discovery=source)
    return HttpFilter(name=TOKENS, typed_config=any_of(tokens))


def _messages() -> ExternalProcessor:
    """Where the messages of a stream are looked at; without an answer, nothing passes."""
    service = GrpcService(envoy_grpc=GrpcServiceEnvoyGrpc(cluster_name="streams"))
    mode = ProcessingMode(
        request_header_mode=ProcessingModeHeaderSendMode.SEND,
        response_header_mode=ProcessingModeHeaderSendMode.SKIP,
        request_body_mode=ProcessingModeBodySendMode.STREAMED,
        response_body_mode=ProcessingModeBodySendMode.NONE,
        request_trailer_mode=ProcessingModeHeaderSendMode.SKIP,
        response_trailer_mode=ProcessingModeHeaderSendMode.SKIP,
    )
    claims = MetadataOptionsMetadataNamespaces(untyped=[TOKENS])
    return ExternalProcessor(
        grpc_service=service,
        processing_mode=mode,
        message_timeout=_LOOK,
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
        status=HttpStatus(code=StatusCode.TooManyRequests),
        token_bucket=_bucket(1_000_000_000),
        filter_enabled=_always(),
        filter_enforced=_always(),
        response_headers_to_add=[header("retry-after", "1")],
        descriptors=descriptors,
        rate_limits=[_counted(), _counted_by_address()],
        rate_limited_as_resource_exhausted=True,
        max_dynamic_descriptors=_MOST_CLIENTS,
    )


def _entry(key: str, value: str) -> RateLimitDescriptorEntry:
    return RateLimitDescriptorEntry(key=key, value=value)


def _counted_as(client: Client | None, settings: Settings) -> list[tuple[str, str]]:
    """The issuers and subjects of a client, or of each other one, for which Envoy has a blank."""
    if client is None:
        return [("", "")]
    issuers = [client.issuer] if client.issuer else settings.issuer_names
    return [(issuer, client.subject) for issuer in issuers]


def _counted() -> RateLimit:
    """What a request counts for: its client, at the model of its route."""
    return RateLimit(
        actions=[_of_a_header(ISSUED_BY, "issuer"), _of_a_header(SUBJECT, "client"), _of_a_route()]
    )


def _counted_by_address() -> RateLimit:
    """Who needs no token is known by the address alone."""
    address = RateLimitAction(remote_address=RateLimitActionRemoteAddress())
    return RateLimit(actions=[address, _of_a_route()])


def _of_a_header(name: str, key: str) -> RateLimitAction:
    return RateLimitAction(
        request_headers=RateLimitActionRequestHeaders(header_name=name, descriptor_key=key)
    )


def _of_a_route() -> RateLimitAction:
    return RateLimitAction(
        metadata=RateLimitActionMetaData(
            descriptor_key="model",
            metadata_key=MetadataKey(key=LUA, path=[MetadataKeyPathSegment(key="counted")]),
            source=RateLimitActionMetaDataSource.ROUTE_ENTRY,
        )
    )


def _bucket(rate: int) -> TokenBucket:
    return TokenBucket(max_tokens=rate, tokens_per_fill=rate, fill_interval=timedelta(seconds=1))


def _always() -> RuntimeFractionalPercent:
    return RuntimeFractionalPercent(
        default_value=FractionalPercent(
            numerator=100, denominator=FractionalPercentDenominatorType.HUNDRED
        )
    )
