"""The public keys of an issuer, from a file or over the network.

    fetched(discovered(issuer), issuer.ca)      the keys of an OpenID issuer, as it says itself

Only what verifies a signature that is accepted is kept, in an order of its own, so that the same
keys are always the same text.
"""

from __future__ import annotations

import json
import ssl
import time
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import urllib3
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from trimaran.gateway.settings import ALGORITHMS, Issuer
from trimaran.gateway.values import require_url
from trimaran.system.errors import TrimaranError
from trimaran.system.files import read_regular

__all__ = ["discovered", "fetched", "read_keys", "usable_keys"]

_TIMEOUT_S = 5.0
_MOST_BYTES = 1 << 20
_PIECE_BYTES = 1 << 16
_LEAST_RSA_BITS = 2048
_DISCOVERY = "/.well-known/openid-configuration"
_OK = 200
_KEPT = ("kty", "kid", "alg", "crv", "x", "y", "n", "e")


def read_keys(path: Path) -> str:
    """The usable keys in a file, as JSON (a JWKS). Raises `TrimaranError`."""
    try:
        content = read_regular(path)
    except OSError as error:
        raise TrimaranError(f"{path} cannot be read: {error.strerror}") from None
    return usable_keys(content, str(path))


def fetched(url: str, ca: Path | None) -> str:
    """The usable keys at an address, as JSON (a JWKS). Raises `TrimaranError`."""
    return usable_keys(_read(url, ca), url)


def discovered(issuer: Issuer) -> str:
    """The address of an OpenID issuer's keys, as it says itself. Raises `TrimaranError`."""
    address = issuer.issuer.rstrip("/") + _DISCOVERY
    try:
        found: Any = json.loads(_read(address, issuer.ca))
        url, named = str(found["jwks_uri"]), found["issuer"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise TrimaranError(
            f"{address} does not say where the issuer's keys are; correct 'issuer', or give their "
            "address as 'jwks'"
        ) from None
    if named != issuer.issuer:
        raise TrimaranError(
            f"{address} is of the issuer {named!r}, and gateway.toml says {issuer.issuer!r}; write "
            "it as its tokens do"
        )
    require_url(url, f"the 'jwks_uri' in {address}")
    return url


def usable_keys(content: bytes, where: str) -> str:
    """What verifies signatures that are accepted, of a set of keys. Raises `TrimaranError`."""
    try:
        keys = json.loads(content)["keys"]
        kinds = [str(key["kty"]) for key in keys]
        private = any("d" in key or "k" in key for key in keys)
    except (ValueError, KeyError, TypeError, RecursionError):
        raise TrimaranError(f"{where} is no set of keys (a JWKS); correct gateway.toml") from None
    if private:
        raise TrimaranError(
            f"{where} holds a private or secret key, which others may have read; replace it at the "
            "issuer, and give public keys only"
        )
    usable = sorted(_usable(keys))
    if not usable:
        raise TrimaranError(
            f"{where} has no key for {' or '.join(ALGORITHMS)} (it has: "
            f"{', '.join(kinds[:5]) or 'none'}); have the issuer sign with one of these"
        )
    return f'{{"keys": [{", ".join(usable)}]}}'


def _usable(keys: list[dict[str, Any]]) -> Iterator[str]:
    for key in keys:
        if key.get("use", "sig") != "sig" or key.get("alg", ALGORITHMS[0]) not in ALGORITHMS:
            continue
        try:
            sound = _is_sound(key)
        except (JoseError, ValueError, TypeError, KeyError):
            continue
        if sound:
            yield json.dumps({name: key[name] for name in _KEPT if name in key})


def _is_sound(key: dict[str, Any]) -> bool:
    if key["kty"] == "EC":
        return ECKey.import_key(key).curve_name == "P-256"
    if key["kty"] == "RSA":
        modulus = urlsafe_b64decode(key["n"] + "==")
        return 8 * len(modulus) >= _LEAST_RSA_BITS and bool(RSAKey.import_key(key))
    return False


def _read(url: str, ca: Path | None) -> bytes:
    """What an address answers, within a time and a size. Raises `TrimaranError`."""
    try:
        context = ssl.create_default_context(cafile=str(ca) if ca else None)
    except (ssl.SSLError, OSError):
        raise TrimaranError(f"{ca} holds no certificate in PEM form; correct 'ca'") from None
    content = b""
    deadline = time.monotonic() + _TIMEOUT_S
    try:
        with urllib3.PoolManager(ssl_context=context, retries=False) as pool:
            response = pool.request("GET", url, timeout=_TIMEOUT_S, preload_content=False)
            while piece := response.read1(_PIECE_BYTES):
                content += piece
                if len(content) > _MOST_BYTES or time.monotonic() > deadline:
                    raise TrimaranError(f"{url} answers without end; correct gateway.toml")
            response.close()
    except (urllib3.exceptions.HTTPError, ssl.SSLError, OSError) as error:
        raise TrimaranError(f"{url} {_reason(error)}") from None
    if response.status != _OK:
        raise TrimaranError(
            f"{url} answered with status {response.status} and no keys; correct gateway.toml"
        )
    return content


def _reason(error: BaseException) -> str:
    """Why an address gave no answer, and what to do."""
    while cause := error.__cause__ or error.__context__:
        error = cause
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"has a certificate that is not trusted: {error.verify_message.rstrip('.')}; correct "
            "the address, or name who signed it as 'ca'"
        )
    if isinstance(error, urllib3.exceptions.TimeoutError | TimeoutError):
        said = f"it does not answer within {_TIMEOUT_S:g} s"
    elif isinstance(error, ssl.SSLError):
        said = f"no TLS is spoken there ({error.reason})"
    else:
        said = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return f"cannot be reached: {said}; correct gateway.toml, or start the issuer"
