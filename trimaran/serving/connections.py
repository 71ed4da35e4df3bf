"""Connections of Triton's client library to an endpoint: TLS, its trusted certificates, headers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trimaran.system.endpoint import Endpoint

__all__ = ["grpc_channel", "grpc_connection", "http_connection"]


def http_connection(endpoint: Endpoint, timeout_s: float) -> Any:
    """A `tritonclient.http.InferenceServerClient`; its calls take the endpoint's headers."""
    # tritonclient takes half a second to import.
    import gevent.ssl  # type: ignore[import-untyped]
    import tritonclient.http as http

    return http.InferenceServerClient(
        endpoint.http,
        connection_timeout=timeout_s,
        network_timeout=timeout_s,
        ssl=endpoint.secure,
        ssl_options={"ca_certs": str(endpoint.ca)} if endpoint.ca else None,
        ssl_context_factory=gevent.ssl.create_default_context if endpoint.secure else None,
    )


def grpc_connection(endpoint: Endpoint, options: Sequence[tuple[str, Any]] | None = None) -> Any:
    """A `tritonclient.grpc.InferenceServerClient`; its calls take the endpoint's headers.

    `options` are those of gRPC's channel, instead of the library's own.
    """
    import tritonclient.grpc as triton

    trusted = _credentials(endpoint) if endpoint.secure else None
    return triton.InferenceServerClient(endpoint.grpc, creds=trusted, channel_args=options)


def grpc_channel(endpoint: Endpoint, options: Sequence[tuple[str, Any]]) -> Any:
    """A `grpc.Channel`; its calls take the endpoint's headers as metadata."""
    import grpc  # type: ignore[import-untyped]

    if not endpoint.secure:
        return grpc.insecure_channel(endpoint.grpc, options)
    return grpc.secure_channel(endpoint.grpc, _credentials(endpoint), options)


def _credentials(endpoint: Endpoint) -> Any:
    import grpc

    return grpc.ssl_channel_credentials(endpoint.roots())
