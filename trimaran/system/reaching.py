"""Why no request gets through to an endpoint: no server, no TLS, or a certificate."""

from __future__ import annotations

import socket
import ssl
from typing import Any

from trimaran.system.endpoint import Endpoint, host_and_port

__all__ = ["why_unreachable"]

_TIMEOUT_S = 5.0
_EXPIRED, _OTHER_NAME, _OTHER_ADDRESS = 10, 62, 64
"""OpenSSL's results of a verification."""


def why_unreachable(endpoint: Endpoint, authority: str = "") -> str:
    """A sentence that names the address and the remedy; an empty one where nothing is wrong.

    `authority` is the endpoint's own of HTTP or of gRPC.
    """
    authority = authority or endpoint.http
    place = f"{endpoint.scheme}://{authority}" if endpoint.secure else authority
    try:
        connection = _connected(authority)
    except OSError as error:
        return f"no server answers at {place}: {error.strerror or error}"
    with connection:
        if endpoint.secure:
            return _handshake_fault(endpoint, connection, authority)
    if _speaks_tls(authority):
        return f"the server at {authority} speaks TLS; give its address as https://{authority}"
    return ""


def _connected(authority: str) -> socket.socket:
    return socket.create_connection(host_and_port(authority), timeout=_TIMEOUT_S)


def _handshake_fault(endpoint: Endpoint, connection: socket.socket, authority: str) -> str:
    host, _ = host_and_port(authority)
    try:
        with endpoint.context().wrap_socket(connection, server_hostname=host):
            return ""
    except ssl.SSLCertVerificationError as error:
        return _certificate_fault(endpoint, error, authority)
    except OSError:
        return (
            f"the server at {authority} does not speak TLS; give its address as http://{authority}"
        )


def _certificate_fault(
    endpoint: Endpoint, error: ssl.SSLCertVerificationError, authority: str
) -> str:
    place = f"https://{authority}"
    if error.verify_code in (_OTHER_NAME, _OTHER_ADDRESS):
        host, _ = host_and_port(authority)
        names = ", ".join(_certified_names(endpoint, authority)) or "another name"
        return f"the certificate of {place} is for {names}, not for {host}; use that in the address"
    if error.verify_code == _EXPIRED:
        return f"the certificate of {place} has expired; renew it there"
    if endpoint.ca is not None:
        return (
            f"the certificate of {place} is not signed by a CA in {endpoint.ca} "
            f"({error.verify_message}); give the right file with --ca"
        )
    return (
        f"the certificate of {place} is not trusted here ({error.verify_message}); give the "
        "certificate of its CA with --ca"
    )


def _certified_names(endpoint: Endpoint, authority: str) -> list[str]:
    """The names in a certificate that is trusted."""
    context = endpoint.context()
    context.check_hostname = False
    try:
        with _connected(authority) as plain, context.wrap_socket(plain) as connection:
            found = connection.getpeercert() or {}
    except OSError:
        return []
    names: Any = found.get("subjectAltName", ())
    return [str(name) for _, name in names]


def _speaks_tls(authority: str) -> bool:
    """Whether a handshake succeeds, whoever the server is: no request is sent."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with _connected(authority) as plain, context.wrap_socket(plain):
            return True
    except OSError:
        return False
