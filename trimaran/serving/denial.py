"""Requests that a gateway refuses because of who sends them."""

from __future__ import annotations

from trimaran.system.endpoint import Endpoint
from trimaran.system.errors import TrimaranError

__all__ = ["DeniedError", "denial"]

_WHO = {"401": "401", "StatusCode.UNAUTHENTICATED": "UNAUTHENTICATED"}
_WHAT = {"403": "403", "StatusCode.PERMISSION_DENIED": "PERMISSION_DENIED"}
_OWN = "restricted"
"""In Triton's own refusals of its restricted APIs."""
_EXCERPT = 200


class DeniedError(TrimaranError):
    """A gateway asks for a token, refuses it, or does not allow this with it."""

    asks_who = False
    """Whether nothing else would be allowed either: no token, or one that is not valid."""


def denial(endpoint: Endpoint, status: str, words: str) -> DeniedError | None:
    """The error for a denied request, by its HTTP status or its gRPC code; `None` for any other.

    `words` are the gateway's own.
    """
    if _OWN in words:
        return None
    code = {**_WHO, **_WHAT}.get(status, "")
    # What follows a semicolon is the gateway's own remedy.
    said = " ".join(words.split()).removeprefix(f"{code}:").partition(";")[0][:_EXCERPT]
    code = f"{code}: {said}" if said else code
    if status in _WHO:
        verb = "refuses the token" if endpoint.has_token else "asks for a token"
        other = "another" if endpoint.has_token else "one"
        found = DeniedError(
            f"{endpoint} {verb} ({code}); give {other} in TRIMARAN_TOKEN or with --token-file"
        )
        found.asks_who = True
        return found
    if status in _WHAT:
        how = "with this token" if endpoint.has_token else "without a token"
        return DeniedError(
            f"{endpoint} does not allow this {how} ({code}); use a token with the scope for it"
        )
    return None
