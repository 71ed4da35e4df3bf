"""The machine's own key for tokens, and its development certificate; both are made once.

They are for a laptop and for tests. In production an issuer makes the tokens, and `gateway.toml`
names the certificate.
"""

from __future__ import annotations

import ipaddress
import json
import secrets
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet

from trimaran.gateway.settings import AUDIENCE, ISSUER
from trimaran.system.errors import TrimaranError
from trimaran.system.files import exclusive_lock, read_regular, write_text

__all__ = [
    "SIGNING_KEY",
    "Certificate",
    "SigningKey",
    "development_certificate",
    "read_certificate",
    "read_digest_key",
    "require_authorities",
    "require_owner_only",
]

SIGNING_KEY = "signing.key"
"""The file of the key that signs this machine's own tokens."""
_ALGORITHM = "ES256"
_OWNER_ONLY = 0o600
_OTHERS = 0o077
_LIFETIME = timedelta(days=365)
_RENEWED = timedelta(days=14)
"""How long before its end a development certificate is made anew."""


@dataclass(frozen=True)
class Certificate:
    """The files of a certificate and its key."""

    certificate: Path
    key: Path


class SigningKey:
    """The key that signs this machine's own tokens. `folder` is the gateway's state."""

    def __init__(self, folder: Path) -> None:
        """Read the key, or make it. Raises `TrimaranError` where others may read it."""
        self._path = folder / SIGNING_KEY
        with exclusive_lock(folder / ".keys.lock"):
            if not self._path.exists():
                made = ECKey.generate_key(
                    "P-256", {"kid": secrets.token_hex(8), "alg": _ALGORITHM, "use": "sig"}
                )
                write_text(self._path, json.dumps(made.as_dict(private=True)) + "\n", _OWNER_ONLY)
        require_owner_only(self._path)
        try:
            self._key = ECKey.import_key(json.loads(read_regular(self._path)))
        except (OSError, ValueError, JoseError):
            raise TrimaranError(
                f"{self._path} is no key; remove it, and another is made (tokens of the old one "
                "are refused then)"
            ) from None

    def public(self) -> str:
        """What verifies its tokens, as JSON (a JWKS)."""
        return json.dumps(KeySet([self._key]).as_dict(private=False))

    def token(self, subject: str, scopes: Sequence[str], lifetime_s: float) -> str:
        """A token for a client, with these scopes, that expires."""
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": subject,
            "scope": " ".join(scopes),
            "iat": now,
            "exp": now + int(lifetime_s),
            "jti": secrets.token_hex(8),
        }
        return jwt.encode({"alg": _ALGORITHM, "kid": self._key.kid}, claims, self._key)


def read_digest_key(folder: Path) -> str:
    """The key of the digests that stand for people in logs, made once: 64 hexadecimal digits."""
    path = folder / "digest.key"
    with exclusive_lock(folder / ".keys.lock"):
        if not path.exists():
            write_text(path, secrets.token_hex(32), _OWNER_ONLY)
    require_owner_only(path)
    return read_regular(path).decode("ascii", "replace").strip()[:64]


def require_owner_only(path: Path) -> None:
    """Raise `TrimaranError` where others than its owner may read a key."""
    try:
        mode = path.stat().st_mode & 0o777
    except OSError as error:
        raise TrimaranError(f"{path} cannot be read: {error.strerror}") from None
    if mode & _OTHERS:
        raise TrimaranError(
            f"{path} can be read by others (mode {mode:o}), and it holds a key; run: chmod 600 "
            f"{path}"
        )


def development_certificate(folder: Path, address: str) -> Certificate:
    """A certificate of this machine for `address`, signed by itself; made again before it ends."""
    files = Certificate(folder / "gateway.crt", folder / "gateway.key")
    with exclusive_lock(folder / ".keys.lock"):
        if not _is_good(files, address):
            _make(files, address)
    return files


def read_certificate(files: Certificate) -> x509.Certificate:
    """The certificate in a file, which is valid now and fits its key. Raises `TrimaranError`."""
    require_owner_only(files.key)
    try:
        found = x509.load_pem_x509_certificate(read_regular(files.certificate))
    except (OSError, ValueError):
        raise TrimaranError(f"{files.certificate} is no certificate in PEM form") from None
    try:
        key = load_pem_private_key(read_regular(files.key), None)
    except (OSError, ValueError, TypeError):
        raise TrimaranError(f"{files.key} is no key in PEM form without a password") from None
    if key.public_key() != found.public_key():
        raise TrimaranError(f"{files.key} is not the key of {files.certificate}")
    _require_current(found, files.certificate)
    return found


def require_authorities(path: Path) -> None:
    """Raise `TrimaranError` unless a file has certificates, of which one is valid now."""
    try:
        found = x509.load_pem_x509_certificates(read_regular(path))
    except (OSError, ValueError):
        raise TrimaranError(f"{path} is no certificate in PEM form") from None
    now = datetime.now(UTC)
    if not any(each.not_valid_before_utc <= now <= each.not_valid_after_utc for each in found):
        _require_current(found[0], path)


def _require_current(found: x509.Certificate, path: Path) -> None:
    now = datetime.now(UTC)
    if now > found.not_valid_after_utc:
        raise TrimaranError(
            f"{path} expired {found.not_valid_after_utc:%Y-%m-%d %H:%M} UTC; renew it"
        )
    if now < found.not_valid_before_utc:
        raise TrimaranError(
            f"{path} is valid only from {found.not_valid_before_utc:%Y-%m-%d %H:%M} UTC; correct "
            "this machine's clock, or make another"
        )


def _is_good(files: Certificate, address: str) -> bool:
    try:
        found = read_certificate(files)
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (TrimaranError, x509.ExtensionNotFound):
        return False
    addresses = names.get_values_for_type(x509.IPAddress)
    lasting = found.not_valid_after_utc > datetime.now(UTC) + _RENEWED
    return lasting and ipaddress.ip_address(address) in addresses


def _make(files: Certificate, address: str) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "trimaran gateway (development)")])
    addresses = {ipaddress.ip_address(each) for each in ("127.0.0.1", "::1", address)}
    names = {"localhost", socket.gethostname()}
    begun = datetime.now(UTC) - timedelta(minutes=5)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begun)
        .not_valid_after(begun + _LIFETIME)
        .add_extension(
            x509.SubjectAlternativeName(
                [
                    *(x509.DNSName(each) for each in sorted(names)),
                    *(x509.IPAddress(each) for each in sorted(addresses, key=str)),
                ]
            ),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    write_text(files.key, pem.decode(), _OWNER_ONLY)
    write_text(files.certificate, made.public_bytes(Encoding.PEM).decode())
