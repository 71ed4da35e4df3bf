"""Where requests go: Envoy's clusters and the servers in them."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from envoy.config.cluster.v3.circuit_breaker_pb2 import CircuitBreakers
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.cluster.v3.outlier_detection_pb2 import OutlierDetection
from envoy.config.core.v3.address_pb2 import Address, Pipe, SocketAddress
from envoy.config.core.v3.protocol_pb2 import (
    Http1ProtocolOptions,
    Http2ProtocolOptions,
    HttpProtocolOptions,
)
from envoy.config.endpoint.v3.endpoint_components_pb2 import (
    Endpoint,
    LbEndpoint,
    LocalityLbEndpoints,
)
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from envoy.extensions.upstreams.http.v3.http_protocol_options_pb2 import (
    HttpProtocolOptions as Upstream,
)
from envoy.type.v3.percent_pb2 import Percent
from google.protobuf.wrappers_pb2 import BoolValue, UInt32Value

from trimaran.gateway.counting import cluster_counts_name
from trimaran.gateway.messages import any_of, seconds
from trimaran.gateway.settings import ServerAddress

__all__ = [
    "cluster",
    "cluster_name",
    "streams_cluster",
    "to_address",
]

_UPSTREAM = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_CONNECT_S = 2.0
_EJECT_S = 5.0
_FAILURES = 3
"""Connections in a row that fail, after which a server gets no requests for a while."""
_IDLE_S = 30.0
"""Before Triton would close a connection that is idle, so that none is closed under a request."""
_LARGEST_BYTES = 1 << 30
_MOST = 1_000_000


def cluster_name(protocol: str, model: str = "", client: str = "") -> str:
    """The name of a cluster: `http`, `grpc/churn`, `grpc/churn/mobile-app`, or `http//a`."""
    return "/".join((protocol, model, client)).rstrip("/")


def cluster(
    name: str, protocol: str, servers: Sequence[ServerAddress], concurrent_requests: int = _MOST
) -> Cluster:
    """Some servers over one protocol, and how many requests they may have at once.

    Each client and model with a limit of its own has its own cluster, since Envoy counts there.
    """
    limit = UInt32Value(value=concurrent_requests)
    threshold = CircuitBreakers.Thresholds(
        max_requests=limit,
        max_connections=UInt32Value(value=_MOST),
        max_pending_requests=limit,
        max_retries=UInt32Value(value=_MOST),
    )
    endpoints = [_endpoint(server, protocol) for server in servers]
    numeric = all(_is_numeric(server.http[0]) for server in servers)
    return Cluster(
        name=name,
        alt_stat_name=cluster_counts_name(name),
        type=Cluster.STATIC if numeric else Cluster.STRICT_DNS,
        load_assignment=ClusterLoadAssignment(
            cluster_name=name, endpoints=[LocalityLbEndpoints(lb_endpoints=endpoints)]
        ),
        connect_timeout=seconds(_CONNECT_S),
        per_connection_buffer_limit_bytes=UInt32Value(value=_LARGEST_BYTES),
        lb_policy=Cluster.LEAST_REQUEST,
        common_lb_config=Cluster.CommonLbConfig(healthy_panic_threshold=Percent(value=0)),
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
        consecutive_local_origin_failure=UInt32Value(value=_FAILURES),
        enforcing_consecutive_local_origin_failure=UInt32Value(value=100 if servers > 1 else 0),
        enforcing_success_rate=UInt32Value(value=0),
        enforcing_local_origin_success_rate=UInt32Value(value=0),
        enforcing_consecutive_5xx=UInt32Value(value=0),
        enforcing_consecutive_gateway_failure=UInt32Value(value=0),
        base_ejection_time=seconds(_EJECT_S),
        max_ejection_time=seconds(_EJECT_S),
        interval=seconds(1),
        max_ejection_percent=UInt32Value(value=most),
        always_eject_one_host=BoolValue(value=False),
    )


def _options(protocol: str) -> Upstream:
    explicit = Upstream.ExplicitHttpConfig(
        **(
            {"http2_protocol_options": Http2ProtocolOptions()}
            if protocol == "grpc"
            else {"http_protocol_options": Http1ProtocolOptions()}
        )
    )
    common = HttpProtocolOptions(idle_timeout=seconds(_IDLE_S))
    return Upstream(explicit_http_config=explicit, common_http_protocol_options=common)


def _endpoint(server: ServerAddress, protocol: str) -> LbEndpoint:
    place = server.grpc if protocol == "grpc" else server.http
    return LbEndpoint(endpoint=Endpoint(address=to_address(*place), hostname=server.name))


def to_address(host: str, port: int) -> Address:
    """A host and a port."""
    return Address(socket_address=SocketAddress(address=host, port_value=port))


def streams_cluster(socket: str) -> Cluster:
    """Where the messages of streams are looked at: a Unix socket."""
    endpoint = LbEndpoint(endpoint=Endpoint(address=Address(pipe=Pipe(path=socket))))
    return Cluster(
        name="streams",
        type=Cluster.STATIC,
        connect_timeout=seconds(_CONNECT_S),
        load_assignment=ClusterLoadAssignment(
            cluster_name="streams", endpoints=[LocalityLbEndpoints(lb_endpoints=[endpoint])]
        ),
        typed_extension_protocol_options={_UPSTREAM: any_of(_options("grpc"))},
    )
