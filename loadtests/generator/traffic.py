"""What the generator sends: to which address, in which protocol, and which requests."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

__all__ = ["Codec", "Tls", "Traffic"]


class Codec(Protocol):
    """One connection's protocol: bytes to write, and when an answer is complete."""

    greeting: bytes
    refusal: str
    """The text of the last answer that was not good."""
    closing: bool
    """Whether the server takes no further request on this connection."""

    def send(self, request: bytes) -> bytes:
        """What to write for a prepared request."""

    def feed(self, data: bytes) -> tuple[bool | None, bytes]:
        """Whether the answer is good, `None` while it is incomplete; and what to write now."""


@dataclass(frozen=True)
class Tls:
    """How connections are encrypted."""

    context: ssl.SSLContext
    host: str
    """The name that the server's certificate must have."""
    protocol: str
    """That of ALPN: `http/1.1` or `h2`."""


@dataclass(frozen=True)
class Traffic:
    """An address, its protocol, and the requests, which are sent in turn."""

    address: tuple[str, int]
    codec: Callable[[], Codec]
    requests: Sequence[bytes]
    tls: Tls | None = None
