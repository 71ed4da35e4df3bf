"""Whose tokens are accepted, and with which keys: this machine's own, and the issuers'."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import urllib3

from trimaran.gateway.keys import ISSUER, SigningKey
from trimaran.gateway.settings import AUDIENCE, Issuer, Settings
from trimaran.system.errors import TrimaranError
from trimaran.system.files import read_regular

__all__ = ["Keys", "accepted"]

_TIMEOUT_S = 5.0
_MOST_BYTES = 1 << 20
_KINDS = {"RSA": "RS256", "EC": "ES256"}
_DISCOVERY = "/.well-known/openid-configuration"


@dataclass(frozen=True)
class Keys:
    """An issuer with its keys as JSON text (a JWKS), or with the address where they are."""

    issuer: str
    audience: str
    text: str = ""
    url: str = ""
    ca: Path | None = None

    @property
    def place(self) -> tuple[str, int, bool]:
        """The host and port of the address, and whether TLS is spoken there."""
        parts = urlsplit(self.url)
        tls = parts.scheme == "https"
        return parts.hostname or "", parts.port or (443 if tls else 80), tls


def accepted(settings: Settings, own: SigningKey) -> Sequence[Keys]:
    """Every issuer whose tokens pass. Raises `TrimaranError` where one has no keys to be had."""
    return [Keys(ISSUER, AUDIENCE, own.public()), *map(_keys, settings.issuers)]


def _keys(issuer: Issuer) -> Keys:
    if isinstance(issuer.jwks, Path):
        text = read_regular(issuer.jwks).decode(errors="replace")
        _require_keys(text, str(issuer.jwks))
        return Keys(issuer.issuer, issuer.audience, text=text)
    url = issuer.jwks or _discovered(issuer)
    _require_keys(_read(url, issuer.ca), url)
    return Keys(issuer.issuer, issuer.audience, url=url, ca=issuer.ca)


def _discovered(issuer: Issuer) -> str:
    """The address of an OpenID issuer's keys, as it says itself."""
    address = issuer.issuer.rstrip("/") + _DISCOVERY
    try:
        found: Any = json.loads(_read(address, issuer.ca))
        url, named = found["jwks_uri"], found["issuer"]
    except (ValueError, KeyError, TypeError):
        raise TrimaranError(
            f"{address} names no keys; correct the issuer, or give 'jwks' in its table"
        ) from None
    if named != issuer.issuer:
        raise TrimaranError(
            f"{address} is of the issuer {named!r}, and gateway.toml says {issuer.issuer!r}; write "
            "it as its tokens do"
        )
    return str(url)


def _read(url: str, ca: Path | None) -> str:
    try:
        context = ssl.create_default_context(cafile=str(ca) if ca else None)
        with urllib3.PoolManager(ssl_context=context, retries=False) as pool:
            response = pool.request("GET", url, timeout=_TIMEOUT_S, preload_content=False)
            content = response.read(_MOST_BYTES + 1)
            response.drain_conn()
    except (urllib3.exceptions.HTTPError, ssl.SSLError, OSError) as error:
        raise TrimaranError(
            f"the issuer's {url} cannot be reached: {_reason(error)}; correct gateway.toml, or "
            "start the issuer"
        ) from None
    if response.status != 200 or len(content) > _MOST_BYTES:
        raise TrimaranError(f"the issuer's {url} answered {response.status}, and no keys")
    return content.decode(errors="replace")


def _reason(error: Exception) -> str:
    while isinstance(cause := error.__cause__ or error.__context__, Exception):
        error = cause
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _require_keys(text: str, where: str) -> None:
    """Raise `TrimaranError` unless there is a public key for a signature that is accepted."""
    kinds = list(_kinds(text, where))
    if not any(kind in _KINDS for kind in kinds):
        found = ", ".join(kinds) or "none"
        raise TrimaranError(
            f"{where} has no key for {' or '.join(_KINDS.values())} (found: {found}); add one"
        )


def _kinds(text: str, where: str) -> Iterator[str]:
    try:
        keys = json.loads(text)["keys"]
        for key in keys:
            if "d" in key or key["kty"] == "oct":
                raise TrimaranError(f"{where} holds a private key; give the public ones only")
            yield str(key["kty"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise TrimaranError(f"{where} is no set of keys (a JWKS)") from None
