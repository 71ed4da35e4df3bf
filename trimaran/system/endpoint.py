"""Where a client sends its requests: scheme, authority and headers, over HTTP and gRPC alike."""

from __future__ import annotations

import ipaddress
import re
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from trimaran.system.errors import UsageError
from trimaran.system.ports import Ports

__all__ = ["Endpoint", "host_and_port"]

_USUAL_PORT = {"http": 80, "https": 443}
_TOKEN_HEADER, _BEARER = "authorization", "Bearer "
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")


@dataclass(frozen=True)
class Endpoint:
    """The address of a server, or of a gateway before it, and what a request to it carries."""

    http: str
    """`HOST:PORT` of HTTP."""
    grpc: str
    """`HOST:PORT` of gRPC."""
    scheme: Literal["http", "https"] = "http"
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Of every request, by names in small letters; a token is one of them."""
    ca: Path | None = None
    """The certificates that are trusted; `None` for those of the system."""

    @classmethod
    def of(cls, ports: Ports) -> Endpoint:
        """A server that listens on `ports`, without TLS."""
        return cls(f"{ports.host}:{ports.http}", f"{ports.host}:{ports.grpc}")

    @classmethod
    def at(
        cls, url: str, ca: Path | None = None, token: str = "", *, named: str = "--url"
    ) -> Endpoint:
        """The one address of both protocols, as `https://HOST:PORT`, that an option `named`.

        Raises `UsageError` for another form, for a `ca` that holds no certificates, and for a
        token that other machines could read on its way.
        """
        scheme, host, authority = _parts(url, named)
        secure = scheme == "https"
        if ca is not None and not secure:
            raise UsageError(f"--ca {ca} goes with an https address, and {named} is {url}")
        if token and not _TOKEN.fullmatch(token):
            raise UsageError("the token has characters that no bearer token has; copy it again")
        if token and not secure and not _is_loopback(host):
            raise UsageError(
                f"{named} {url} would send the token unencrypted to another machine; use https, or "
                "give no token"
            )
        headers = {_TOKEN_HEADER: f"{_BEARER}{token}"} if token else {}
        found = cls(authority, authority, "https" if secure else "http", headers, ca)
        if ca is not None:
            found.context()
        return found

    def __str__(self) -> str:
        return f"https://{self.http}" if self.secure else self.http

    @property
    def secure(self) -> bool:
        """Whether it is reached by TLS."""
        return self.scheme == "https"

    @property
    def has_token(self) -> bool:
        """Whether requests say who sends them."""
        return _TOKEN_HEADER in self.headers

    @property
    def token(self) -> str:
        """The bearer token; empty where there is none."""
        return self.headers.get(_TOKEN_HEADER, "").removeprefix(_BEARER)

    @property
    def is_local(self) -> bool:
        """Whether it is a loopback address of this machine."""
        return _is_loopback(host_and_port(self.http)[0])

    def url(self, path: str = "") -> str:
        """The URL of a path over HTTP."""
        return f"{self.scheme}://{self.http}{path}"

    def context(self, protocols: Sequence[str] = ()) -> ssl.SSLContext:
        """How TLS is spoken: the server's certificate and name are checked.

        `protocols` are offered by ALPN. Raises `UsageError` for a `ca` that cannot be used.
        """
        try:
            context = ssl.create_default_context(cafile=self.ca)
        except ssl.SSLError as error:
            raise UsageError(
                f"--ca {self.ca} holds no certificate; give the CA's certificate as a PEM file"
            ) from error
        except OSError as error:
            raise UsageError(f"--ca {self.ca} cannot be read: {error.strerror}") from error
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if protocols:
            context.set_alpn_protocols(list(protocols))
        return context

    def roots(self) -> bytes:
        """The trusted certificates as PEM, for gRPC, which does not take those of the system."""
        if self.ca is not None:
            return self.ca.read_bytes()
        trusted = self.context().get_ca_certs(binary_form=True)
        return "".join(map(ssl.DER_cert_to_PEM_cert, trusted)).encode()


def host_and_port(authority: str) -> tuple[str, int]:
    """The two parts of `HOST:PORT`; the host of an IPv6 address without its brackets."""
    host, _, port = authority.rpartition(":")
    return host.strip("[]"), int(port)


def _parts(url: str, named: str) -> tuple[str, str, str]:
    """The scheme, the host, and `HOST:PORT`. Raises `UsageError`."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise UsageError(f"{named} is {url!r}; give it as https://HOST:PORT") from None
    if parts.scheme not in _USUAL_PORT:
        raise UsageError(f"{named} is {url!r}; give it as https://HOST:PORT or http://HOST:PORT")
    if parts.username is not None or parts.password is not None:
        raise UsageError(
            f"{named} holds a user or password; give a token in TRIMARAN_TOKEN or with --token-file"
        )
    host = parts.hostname or ""
    usable = _is_address(host) or re.fullmatch(r"[A-Za-z0-9._-]+", host)
    if parts.path.strip("/") or parts.query or parts.fragment or not usable or port == 0:
        raise UsageError(f"{named} is {url!r}; give only scheme, host and port: https://HOST:PORT")
    written = f"[{host}]" if ":" in host else host
    return parts.scheme, host, f"{written}:{port or _USUAL_PORT[parts.scheme]}"


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_loopback(host: str) -> bool:
    if _is_address(host):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"
