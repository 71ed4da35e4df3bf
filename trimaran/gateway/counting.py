"""What Envoy counts: each request by its model and end, and its own figures with labels.

```text
trimaran_gateway_requests{model="churn", kind="predict", status="403", why="rbac_access_denied…"} 2
trimaran_gateway_request_us_bucket{model="churn", kind="predict", le="4000"} 17
envoy_cluster_upstream_rq_active{protocol="http", model="churn", client="mobile-app"} 1
```

A label holds what `gateway.toml` or the repository names, and nothing that a client sends.
"""

from __future__ import annotations

from collections.abc import Iterator

from envoy_data_plane.envoy.config.accesslog.v3 import AccessLog, AccessLogFilter, ExtensionFilter
from envoy_data_plane.envoy.config.metrics.v3 import (
    HistogramBucketSettings,
    StatsConfig,
    TagSpecifier,
)
from envoy_data_plane.envoy.extensions.access_loggers.filters.cel.v3 import ExpressionFilter
from envoy_data_plane.envoy.extensions.access_loggers.stats.v3 import (
    Config,
    ConfigCounter,
    ConfigHistogram,
    ConfigHistogramUnit,
    ConfigStat,
    ConfigTag,
)
from envoy_data_plane.envoy.type.matcher.v3 import StringMatcher

from trimaran.gateway.messages import any_of

__all__ = ["COUNTED", "PREFIX", "cluster_counts_name", "counts_of_requests", "stats_config"]

PREFIX = "trimaran_gateway"
"""What the names of our own counters begin with."""

_ROUTE = "%METADATA(ROUTE:envoy.filters.http.lua:{})%"
_OF_A_MODEL = {"model": _ROUTE.format("model"), "kind": _ROUTE.format("kind")}
_OF_AN_END = {
    "status": "%RESPONSE_CODE%",
    "grpc_status": "%GRPC_STATUS_NUMBER%",
    "why": "%RESPONSE_CODE_DETAILS%",
}
_ANSWERED = "response.code < 400 && response.code_details == 'via_upstream'"
_BUCKETS_US = (
    *(500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 128_000, 256_000, 512_000),
    *(1_000_000, 4_000_000, 16_000_000, 60_000_000),
)
_ENVOYS_TAGS = (
    "envoy.http_conn_manager_prefix",
    "envoy.response_code",
    "envoy.response_code_class",
    "envoy.local_http_ratelimit_prefix",
    "envoy.listener_address",
    "envoy.ssl_version",
    "envoy.tls_certificate",
)
_CLUSTER = r"^cluster\.({} \.)"
_ANY = "(?:http|grpc)(?:@candidate)?"
_TAGS = {
    "protocol": _CLUSTER.format("(http|grpc)(?:@candidate)?(?:/[^ ]*)?"),
    "arm": _CLUSTER.format("(?:http|grpc)@(candidate)/[^ ]+"),
    "model": _CLUSTER.format(f"{_ANY}/([^/ ]+)(?:/[^ ]+)?"),
    "client": _CLUSTER.format(f"{_ANY}/[^/ ]+/([^ ]+)"),
    "server": _CLUSTER.format("(?:http|grpc)//([^ ]+)"),
    "service": r"^cluster\.((streams|issuer [0-9]+)\.)",
}
"""The labels of a cluster's figures: a part of its name in the second group."""

_OF_A_CLUSTER = (
    *("upstream_rq_(active|total|retry|timeout)", "upstream_rq_(active|pending)_overflow"),
    *("upstream_cx_(active|connect_fail|none_healthy)", "membership_(healthy|total)"),
    "outlier_detection[.]ejections_(active|enforced_total)",
)
_OF_THE_GATEWAY = (
    *("downstream_(cx|rq)_(active|total)", "downstream_rq_[1-5]xx"),
    *("jwt_authn[.](allowed|denied|jwks_fetch_failed)", "rbac[.](allowed|denied)"),
    *("ext_proc[.](streams_(started|failed)|message_timeouts)", "lua[.]errors"),
)
COUNTED = "|".join(
    (
        f"^{PREFIX}[.]",
        f"^cluster[.](.* |streams|issuer [0-9]+)[.]({'|'.join(_OF_A_CLUSTER)})$",
        f"^http[.]gateway[.]({'|'.join(_OF_THE_GATEWAY)})$",
        "^limits[.]http_local_rate_limit[.](ok|rate_limited)$",
        "^listener[.][0-9].*[.]downstream_cx_(overload_reject|total)$",
        "^listener[.][0-9].*[.]ssl[.](handshake|connection_error|fail_verify_[a-z_]+|versions[.].*)$",
        "^listener[.][0-9].*[.]expiration_unix_time_seconds$",
        "^filesystem[.](write_(completed|failed)|reopen_failed)$",
        "^server[.](live|uptime|memory_physical_size)$",
    )
)
"""The figures that are of use, as a pattern of their names in Envoy; it has some thousands."""


def cluster_counts_name(cluster: str) -> str:
    """A cluster's name within its figures; a blank ends it, since a name may hold dots."""
    return f"{cluster} "


def stats_config() -> StatsConfig:
    """Which labels figures have, and the limits of the buckets of our own durations."""
    tags = [TagSpecifier(tag_name=name) for name in _ENVOYS_TAGS]
    tags += [TagSpecifier(tag_name=name, regex=pattern) for name, pattern in _TAGS.items()]
    durations = HistogramBucketSettings(
        match=StringMatcher(prefix=PREFIX), buckets=list(map(float, _BUCKETS_US))
    )
    return StatsConfig(
        stats_tags=tags,
        use_all_default_tags=False,
        histogram_bucket_settings=[durations],
    )


def counts_of_requests() -> Iterator[AccessLog]:
    """Each request by its model and end, and how long those took that a server answered."""
    one = ConfigCounter(stat=_stat("requests", {**_OF_A_MODEL, **_OF_AN_END}), value_fixed=1)
    took = ConfigHistogram(
        stat=_stat("request_us", _OF_A_MODEL),
        unit=ConfigHistogramUnit.Microseconds,
        value_format="%COMMON_DURATION(DS_RX_BEG:DS_TX_END:us)%",
    )
    yield AccessLog(name="counts", typed_config=any_of(Config(stat_prefix=PREFIX, counters=[one])))
    answered = ExtensionFilter(
        name="answered", typed_config=any_of(ExpressionFilter(expression=_ANSWERED))
    )
    yield AccessLog(
        name="durations",
        filter=AccessLogFilter(extension_filter=answered),
        typed_config=any_of(Config(stat_prefix=PREFIX, histograms=[took])),
    )


def _stat(name: str, tags: dict[str, str]) -> ConfigStat:
    return ConfigStat(
        name=name,
        tags=[ConfigTag(name=tag, value_format=value) for tag, value in tags.items()],
    )
