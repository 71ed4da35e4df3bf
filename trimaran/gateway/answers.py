"""What the gateway itself says: its answers to refused requests, and a line for each request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from envoy_data_plane.envoy.config.accesslog.v3 import (
    AccessLog,
    AccessLogFilter,
    AndFilter,
    ComparisonFilter,
    ComparisonFilterOp,
    ExtensionFilter,
    HeaderFilter,
    MetadataFilter,
    ResponseFlagFilter,
    StatusCodeFilter,
)
from envoy_data_plane.envoy.config.core.v3 import (
    DataSource,
    RuntimeUInt32,
    SubstitutionFormatString,
)
from envoy_data_plane.envoy.config.route.v3 import HeaderMatcher
from envoy_data_plane.envoy.extensions.access_loggers.file.v3 import FileAccessLog
from envoy_data_plane.envoy.extensions.access_loggers.filters.cel.v3 import ExpressionFilter
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import (
    LocalReplyConfig,
    ResponseMapper,
)
from envoy_data_plane.envoy.type.matcher.v3 import (
    MetadataMatcher,
    MetadataMatcherPathSegment,
    StringMatcher,
    ValueMatcher,
)

from trimaran.gateway.messages import any_of, header, struct
from trimaran.gateway.routes import LUA, MODEL

__all__ = ["arms_log", "audit_log", "own_answers"]

_REFUSED = 400
_UNAUTHORISED, _FORBIDDEN, _MISSING, _LARGE, _MANY, _SLOW = 401, 403, 404, 413, 429, 408
_WIDE, _UNAVAILABLE = 431, 503


def audit_log(path: str) -> AccessLog:
    """One JSON line for each request, without bodies and tokens."""
    line = {
        "time": "%START_TIME(%Y-%m-%dT%H:%M:%S.%3fZ)%",
        "request_id": "%REQ(x-request-id):128%",
        "subject": "%DYNAMIC_METADATA(trimaran:subject)%",
        "method": "%REQ(:method)%",
        "path": "%PATH(NQ:ORIG_OR_PATH):256%",
        "route": "%ROUTE_NAME%",
        "model": f"%RESP({MODEL})%",
        "version": "%RESP(x-trimaran-version)%",
        "status": "%RESPONSE_CODE%",
        "grpc_status": "%GRPC_STATUS_NUMBER%",
        "why": "%RESPONSE_CODE_DETAILS%",
        "ms": "%DURATION%",
        "bytes_in": "%BYTES_RECEIVED%",
        "bytes_out": "%BYTES_SENT%",
        "server": "%UPSTREAM_HOST%",
        "attempts": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
    }
    return _lines("audit", path, line)


def arms_log(path: str) -> AccessLog:
    """One JSON line for each request that `lua/requests.lua` chose an arm for.

    `trimaran/rollout/traffic/arms_log.py` reads them.
    """
    line = {
        "experiment": "%DYNAMIC_METADATA(trimaran:experiment)%",
        "share": "%DYNAMIC_METADATA(trimaran:share)%",
        "arm": "%DYNAMIC_METADATA(trimaran:arm)%",
        "unit": "%DYNAMIC_METADATA(trimaran:unit)%",
        "status": "%RESPONSE_CODE%",
        "grpc_status": "%GRPC_STATUS_NUMBER%",
        "why": "%RESPONSE_CODE_DETAILS%",
        "us": "%COMMON_DURATION(DS_RX_BEG:DS_TX_END:us)%",
        "server": "%UPSTREAM_HOST%",
    }
    matcher = MetadataMatcher(
        filter="trimaran",
        path=[MetadataMatcherPathSegment(key="arm")],
        value=ValueMatcher(present_match=True),
    )
    log = _lines("arms", path, line)
    log.filter = AccessLogFilter(
        metadata_filter=MetadataFilter(matcher=matcher, match_if_key_not_found=False)
    )
    return log


def _lines(name: str, path: str, line: Mapping[str, str]) -> AccessLog:
    form = SubstitutionFormatString(json_format=struct(line))
    return AccessLog(name=name, typed_config=any_of(FileAccessLog(path=path, log_format=form)))


def own_answers() -> LocalReplyConfig:
    """Each answer of the gateway itself in one form; over gRPC its text is the status' message."""
    mappers = []
    for grpc in (True, False):
        for found, status, words, headers in _reasons(grpc):
            mapper = ResponseMapper(
                filter=_both(_is_grpc(not grpc), found),
                body_format_override=_form(words, grpc=grpc),
                headers_to_add=[header(name, value) for name, value in headers.items()],
            )
            if status:
                mapper.status_code = status
            mappers.append(mapper)
        mappers.append(
            ResponseMapper(
                filter=_both(_is_grpc(not grpc), _status(_REFUSED, ComparisonFilterOp.GE)),
                body_format_override=_form("%LOCAL_REPLY_BODY%", grpc=grpc),
            )
        )
    return LocalReplyConfig(mappers=mappers)


def _form(words: str, *, grpc: bool) -> SubstitutionFormatString:
    if grpc:
        return SubstitutionFormatString(text_format_source=DataSource(inline_string=words))
    form = {
        "error": words,
        "where": "gateway",
        "request_id": "%REQ(x-request-id):128%",
    }
    return SubstitutionFormatString(json_format=struct(form))


def _reasons(
    grpc: bool,
) -> Iterator[tuple[AccessLogFilter, int | None, str, Mapping[str, str]]]:
    """What is answered: by which sign, with which status instead, in which words and headers.

    Envoy has no gRPC status for some of HTTP's, so those are given as headers.
    """
    flag = _flag
    many = {"grpc-status": "8"} if grpc else {"retry-after": "1"}
    large, slow = ({"grpc-status": each} if grpc else {} for each in ("8", "4"))
    soon = {} if grpc else {"retry-after": "1"}
    yield (
        flag("UO"),
        _MANY,
        "as many requests are at the model as may be at once, of this client or of all together; "
        "try again when one is answered",
        many,
    )
    yield (
        flag("UH"),
        None,
        "no server is ready; try again later, and see 'trimaran status' and the gateway's table",
        soon,
    )
    yield flag("NC"), None, "the gateway changes over to other servers; try again", soon
    yield flag("UF"), None, "no server could be reached; try again later", soon
    yield flag("UC"), None, "the server ended the connection before it answered; try again", soon
    yield flag("UT"), None, "the server did not answer in time; raise timeout_s of the model", slow
    full = _both(_status(_UNAVAILABLE), _without("x-request-id"))
    yield full, None, "the gateway has no memory left for more requests; try again later", soon
    unread = _both(_status(_REFUSED), _without("x-request-id"))
    yield unread, None, "the request is no sound HTTP (%RESPONSE_CODE_DETAILS%); correct it", {}
    yield (
        _status(_UNAUTHORISED),
        None,
        "%LOCAL_REPLY_BODY%; send a valid token as 'authorization: Bearer TOKEN'",
        {"www-authenticate": "Bearer"},
    )
    tunnel = "no connection is upgraded or passed on here (websocket, CONNECT); ask by plain HTTP"
    for sign in (
        HeaderMatcher(name="upgrade", present_match=True),
        HeaderMatcher(name=":method", string_match=StringMatcher(exact="CONNECT")),
    ):
        yield _both(_status(_FORBIDDEN), _where(sign)), _REFUSED, tunnel, {}
    yield (
        _both(_status(_FORBIDDEN), _because("jwt_authn")),
        None,
        "the token is for somebody else (%LOCAL_REPLY_BODY%); ask for one with the audience of "
        "this gateway",
        {},
    )
    yield (
        _status(_FORBIDDEN),
        None,
        "the token does not allow this (%LOCAL_REPLY_BODY%); ask for one with the scope "
        f"'%METADATA(ROUTE:{LUA}:scope)%'",
        {},
    )
    yield _status(_MISSING), None, "nothing is served under this path and method", {}
    yield _status(_LARGE), None, "the body is larger than body_mb of the model allows", large
    wide = "the headers have more than 16 kB; send fewer, or a shorter token"
    yield _status(_WIDE), None, wide, large
    yield _status(_MANY), None, "this client asks the model too often; ask again later", many
    yield _status(_SLOW), None, "the request came too slowly; send it faster", slow


def _flag(*names: str) -> AccessLogFilter:
    return AccessLogFilter(response_flag_filter=ResponseFlagFilter(flags=list(names)))


def _status(code: int, op: ComparisonFilterOp = ComparisonFilterOp.EQ) -> AccessLogFilter:
    comparison = ComparisonFilter(
        op=op, value=RuntimeUInt32(default_value=code, runtime_key="unused")
    )
    return AccessLogFilter(status_code_filter=StatusCodeFilter(comparison=comparison))


def _without(name: str) -> AccessLogFilter:
    """A request without a header: the gateway gives an id to each that it can read."""
    return _where(HeaderMatcher(name=name, present_match=False))


def _where(matcher: HeaderMatcher) -> AccessLogFilter:
    return AccessLogFilter(header_filter=HeaderFilter(header=matcher))


def _because(beginning: str) -> AccessLogFilter:
    """An answer whose reason begins so, in Envoy's words."""
    expression = f"response.code_details.startsWith('{beginning}')"
    return AccessLogFilter(
        extension_filter=ExtensionFilter(
            name="because", typed_config=any_of(ExpressionFilter(expression=expression))
        )
    )


def _is_grpc(invert: bool) -> AccessLogFilter:
    matcher = HeaderMatcher(
        name="content-type",
        string_match=StringMatcher(prefix="application/grpc"),
        invert_match=invert,
        treat_missing_header_as_empty=True,
    )
    return _where(matcher)


def _both(*filters: AccessLogFilter) -> AccessLogFilter:
    return AccessLogFilter(and_filter=AndFilter(filters=list(filters)))
