"""Where requests go: Envoy's clusters and the servers in them."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from datetime import timedelta

from envoy_data_plane.envoy.config.cluster.v3 import (
    CircuitBreakers,
    CircuitBreakersThresholds,
    Cluster,
    ClusterCommonLbConfig,
    ClusterDiscoveryType,
    ClusterLbPolicy,
    OutlierDetection,
)
from envoy_data_plane.envoy.config.core.v3 import (
    Address,
    Http1ProtocolOptions,
    Http2ProtocolOptions,
    HttpProtocolOptions,
    Pipe,
    SocketAddress,
)
from envoy_data_plane.envoy.config.endpoint.v3 import (
    ClusterLoadAssignment,
    Endpoint,
    LbEndpoint,
    LocalityLbEndpoints,
)
from envoy_data_plane.envoy.extensions.upstreams.http.v3 import HttpProtocolOptions as Upstream
from envoy_data_plane.envoy.extensions.upstreams.http.v3 import (
    HttpProtocolOptionsExplicitHttpConfig as Protocol,
)
from envoy_data_plane.envoy.type.v3 import Percent

from trimaran.gateway.counting import cluster_counts_name
from trimaran.gateway.messages import any_of
from trimaran.gateway.settings import ServerAddress
from trimaran.rollout.shadow.copies import MOST_COPIED

__all__ = [
    "cluster",
    "cluster_name",
    "shadow_cluster",
    "shadow_name",
    "streams_cluster",
    "to_address",
]

_UPSTREAM = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_CONNECT = timedelta(seconds=2)
_EJECT = timedelta(seconds=5)
_FAILURES = 3
"""Connections in a row that fail, after which a server gets no requests for a while."""
_IDLE = timedelta(seconds=30)
"""Before Triton would close a connection that is idle, so that none is closed under a request."""
_LARGEST_BYTES = 1 << 30
_MOST = 1_000_000
_PART_OF_COPIES, _FEWEST_COPIES = 8, 8


def cluster_name(
    protocol: str, model: str = "", client: str = "", *, candidate: bool = False
) -> str:
    """The name of a cluster: `http`, `grpc/churn`, `grpc/churn/mobile-app`, or `http//a`.

    Those of a candidate are `http@candidate/churn` and `http@candidate/churn/mobile-app`.
    """
    arm = f"{protocol}@candidate" if candidate else protocol
    return "/".join((arm, model, client)).rstrip("/")


def cluster(
    name: str,
    protocol: str,
    servers: Sequence[ServerAddress],
    concurrent_requests: int = _MOST,
    *,
    instead: Sequence[ServerAddress] = (),
) -> Cluster:
    """Some servers over one protocol, and how many requests they may have at once.

    Each client and model with a limit of its own has its own cluster, since Envoy counts there.
    `instead` are asked where none of the others is there, or where those failed.
    """
    limit = concurrent_requests
    threshold = CircuitBreakersThresholds(
        max_requests=limit,
        max_connections=_MOST,
        max_pending_requests=limit,
        max_retries=_MOST,
    )
    endpoints = [
        LocalityLbEndpoints(
            lb_endpoints=[_endpoint(server, protocol) for server in group], priority=priority
        )
        for priority, group in enumerate((servers, instead) if instead else (servers,))
    ]
    numeric = all(_is_numeric(server.http[0]) for server in (*servers, *instead))
    return Cluster(
        name=name,
        alt_stat_name=cluster_counts_name(name),
        type=ClusterDiscoveryType.STATIC if numeric else ClusterDiscoveryType.STRICT_DNS,
        load_assignment=ClusterLoadAssignment(cluster_name=name, endpoints=endpoints),
        connect_timeout=_CONNECT,
        per_connection_buffer_limit_bytes=_LARGEST_BYTES,
        lb_policy=ClusterLbPolicy.LEAST_REQUEST,
        common_lb_config=ClusterCommonLbConfig(healthy_panic_threshold=Percent(value=0)),
        circuit_breakers=CircuitBreakers(thresholds=[threshold]),
        outlier_detection=_ejection(len(servers)),
        typed_extension_protocol_options={_UPSTREAM: any_of(_options(protocol))},
    )


def _is_numeric(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _ejection(servers: int) -> OutlierDetection:
    """One that does not answer gets no requests for a while; the last one always does."""
    most = 100 * (servers - 1) // servers if servers else 0
    return OutlierDetection(
        split_external_local_origin_errors=True,
        consecutive_local_origin_failure=_FAILURES,
        enforcing_consecutive_local_origin_failure=100 if servers > 1 else 0,
        enforcing_success_rate=0,
        enforcing_local_origin_success_rate=0,
        enforcing_consecutive_5xx=0,
        enforcing_consecutive_gateway_failure=0,
        base_ejection_time=_EJECT,
        max_ejection_time=_EJECT,
        interval=timedelta(seconds=1),
        max_ejection_percent=most,
        always_eject_one_host=False,
    )


def _options(protocol: str) -> Upstream:
    explicit = (
        Protocol(http2_protocol_options=Http2ProtocolOptions())
        if protocol == "grpc"
        else Protocol(http_protocol_options=Http1ProtocolOptions())
    )
    common = HttpProtocolOptions(idle_timeout=_IDLE)
    return Upstream(explicit_http_config=explicit, common_http_protocol_options=common)


def _endpoint(server: ServerAddress, protocol: str) -> LbEndpoint:
    place = server.grpc if protocol == "grpc" else server.http
    return LbEndpoint(endpoint=Endpoint(address=to_address(*place), hostname=server.name))


def to_address(host: str, port: int) -> Address:
    """A host and a port."""
    return Address(socket_address=SocketAddress(address=host, port_value=port))


def streams_cluster(socket: str) -> Cluster:
    """Where the messages of streams are looked at: a Unix socket."""
    return _at_socket("streams", socket, "grpc")


def shadow_name(model: str) -> str:
    """The name of the cluster that takes copies of a model's requests and answers."""
    return f"shadow/{model}"


def shadow_cluster(model: str, socket: str, memory_mb: int) -> Cluster:
    """Where copies of a model's requests and answers are compared: a Unix socket.

    What is under way to it, which who compares may be slow to read, takes a part of the memory.
    """
    most = max(_FEWEST_COPIES, (memory_mb << 20) // _PART_OF_COPIES // (2 * MOST_COPIED))
    found = _at_socket(shadow_name(model), socket, "http")
    threshold = CircuitBreakersThresholds(
        max_requests=most, max_connections=most, max_pending_requests=most, max_retries=1
    )
    found.circuit_breakers = CircuitBreakers(thresholds=[threshold])
    return found


def _at_socket(name: str, socket: str, protocol: str) -> Cluster:
    endpoint = LbEndpoint(endpoint=Endpoint(address=Address(pipe=Pipe(path=socket))))
    return Cluster(
        name=name,
        type=ClusterDiscoveryType.STATIC,
        connect_timeout=_CONNECT,
        load_assignment=ClusterLoadAssignment(
            cluster_name=name, endpoints=[LocalityLbEndpoints(lb_endpoints=[endpoint])]
        ),
        typed_extension_protocol_options={_UPSTREAM: any_of(_options(protocol))},
    )
