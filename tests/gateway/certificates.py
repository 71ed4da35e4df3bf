"""Certificates and keys that tests need: an authority, and what it signs."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

__all__ = ["Authority", "Pair"]

_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Pair:
    """The files of a certificate and its key, which only their owner may read."""

    certificate: Path
    key: Path


@dataclass(frozen=True)
class Authority:
    """Who signs certificates, and its own in `file`."""

    folder: Path
    name: str = "authority"
    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    @property
    def file(self) -> Path:
        path = self.folder / f"{self.name}.crt"
        if not path.exists():
            path.write_bytes(self._signed(self.key, self.name, authority=True))
        return path

    def pair(
        self,
        name: str = "localhost",
        *,
        begins: timedelta = -_DAY,
        ends: timedelta = _DAY,
        password: bytes | None = None,
    ) -> Pair:
        """A certificate for a host's or a client's name."""
        key = ec.generate_private_key(ec.SECP256R1())
        pair = Pair(self.folder / f"{name}.crt", self.folder / f"{name}.key")
        pair.certificate.write_bytes(self._signed(key, name, begins=begins, ends=ends))
        secrecy = BestAvailableEncryption(password) if password else NoEncryption()
        pair.key.touch(0o600)
        pair.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, secrecy))
        return pair

    def _signed(
        self,
        key: ec.EllipticCurvePrivateKey,
        name: str,
        *,
        begins: timedelta = -_DAY,
        ends: timedelta = _DAY,
        authority: bool = False,
    ) -> bytes:
        now = datetime.now(UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(_named(name))
            .issuer_name(_named(self.name))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + begins)
            .not_valid_after(now + ends)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        return made.public_bytes(Encoding.PEM)


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
