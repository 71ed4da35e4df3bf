"""The clients that `gateway.toml` lists: what a token may do by its subject, and its limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trimaran.gateway.values import number_of, word_of
from trimaran.system.errors import TrimaranError
from trimaran.system.toml_text import nearest, refuse_unknown, texts_of

__all__ = ["MOST_OF_A_CLIENT", "Client", "clients_of"]

MOST_OF_A_CLIENT = {"requests_per_second": 1_000_000, "concurrent_requests": 100_000}
"""The limits that a client may have of its own, and their largest values."""


@dataclass(frozen=True)
class Client:
    """What is known of the subject of a token; a limit that is None is the model's."""

    subject: str
    scopes: tuple[str, ...] = ()
    requests_per_second: int | None = None
    concurrent_requests: int | None = None
    issuer: str | None = None
    """Who names it so; None for every issuer, of which there is at most one besides our own."""

    @property
    def name(self) -> str:
        """What tells it from all others."""
        return f"{self.subject}@{self.issuer}" if self.issuer else self.subject

    def has(self, claims: Mapping[str, Any]) -> bool:
        """Whether a token with these claims is its own."""
        own = self.issuer is None or claims.get("iss") == self.issuer
        return own and claims.get("sub") == self.subject


def clients_of(
    tables: Sequence[Mapping[str, Any]], issuers: Sequence[str], own: str
) -> tuple[Client, ...]:
    """The clients in the tables `[[clients]]`. Raises `TrimaranError` for the first thing wrong.

    `issuers` are those that the file lists, and `own` is this machine's.
    """
    clients: list[Client] = []
    for number, table in enumerate(tables, start=1):
        where = f"[[clients]] {number}: "
        refuse_unknown(table, ("subject", "issuer", "scopes", *MOST_OF_A_CLIENT), where)
        subject = word_of(table, "subject", where)
        issuer = _issuer(table, where, issuers, own)
        if any(
            each.subject == subject and (None in (issuer, each.issuer) or issuer == each.issuer)
            for each in clients
        ):
            raise TrimaranError(f"{where}subject is {subject!r}, as that of another; remove one")
        scopes = texts_of(table, "scopes", where) or ()
        for scope in scopes:
            if scope not in ("metadata", "admin") and not scope.startswith("infer:"):
                raise TrimaranError(
                    f"{where}scopes holds {scope!r}; expected 'infer:<model>', 'infer:*', "
                    "'metadata' or 'admin'"
                )
        limits = {key: number_of(table, key, where, most) for key, most in MOST_OF_A_CLIENT.items()}
        clients.append(Client(subject, scopes, **limits, issuer=issuer))
    return tuple(clients)


def _issuer(table: Mapping[str, Any], where: str, issuers: Sequence[str], own: str) -> str | None:
    """Whose subject a client is: two issuers may call different clients the same."""
    known = [*issuers, own]
    if "issuer" not in table and len(issuers) > 1:
        raise TrimaranError(
            f"{where}issuer is missing; there are several, so say which of them calls the client "
            f"so: {', '.join(known)}"
        )
    if "issuer" not in table:
        return None
    issuer = word_of(table, "issuer", where)
    if issuer not in known:
        raise TrimaranError(f"{where}issuer is {issuer!r}, which is none; {nearest(issuer, known)}")
    return issuer
