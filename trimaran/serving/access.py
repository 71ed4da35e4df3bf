"""Who may change a running server: those who have its secret, made at each start.

Without it, any web page that a developer visits, or any other program that reaches the port, could
have the server load a model with code of its own. Triton compares the secret with a header of each
request to a restricted API.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping

__all__ = ["grpc_headers", "http_headers", "new_secret", "restrictions"]

_HEADER = "trimaran-secret"
_GRPC_PREFIX = "triton-grpc-protocol-"
_RESTRICTED = ("model-repository", "trace", "logging")
_SHARED_MEMORY = "shared-memory"


def new_secret() -> str:
    """A secret for one start of a server."""
    return secrets.token_hex(32)


def restrictions(secret: str, *, shared_memory: bool = False) -> list[str]:
    """The options of `tritonserver` that keep its APIs for those who have the secret.

    `shared_memory` leaves the registration of shared memory to every client.
    """
    names = ",".join(_RESTRICTED if shared_memory else (*_RESTRICTED, _SHARED_MEMORY))
    options = ("--http-restricted-api", "--grpc-restricted-protocol")
    return [f"{option}={names}:{_HEADER}={secret}" for option in options]


def http_headers(secret: str) -> Mapping[str, str]:
    """The headers of an HTTP request to a restricted API; none without a secret."""
    return {_HEADER: secret} if secret else {}


def grpc_headers(secret: str) -> Mapping[str, str]:
    """The metadata of a gRPC call to a restricted API; none without a secret."""
    return {_GRPC_PREFIX + _HEADER: secret} if secret else {}
