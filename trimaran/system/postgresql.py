"""Addresses of PostgreSQL, such as `postgresql://reader:secret@db.internal/shop`, and connections.

A password in an address is never shown.
"""

from __future__ import annotations

import logging
import re
from typing import Any

from trimaran.system.errors import UsageError
from trimaran.system.extras import imported

__all__ = ["connect_postgresql", "is_address", "said_without_password", "shown"]

_PATIENCE = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
_QUIET = logging.NullHandler()
_POSTGRESQL = ("postgresql", "postgres")
_PORT = re.compile(r":(?!\d*(/|$)).*")


def is_address(place: str) -> bool:
    """Whether a place is a database's address, and no file."""
    return place.partition("://")[0].lower() in _POSTGRESQL and "://" in place


def shown(place: str) -> str:
    """A place without what may be a password: `postgresql://reader@db.internal/shop`.

    Also of an address that is written wrongly, such as a password with a `/` or an `@` in it.
    """
    if not is_address(place):
        return place
    scheme, _, rest = place.partition("://")
    people, at, host = rest.rpartition("@")
    user = re.split(r"[:/?#]", people)[0]
    host = re.split(r"[?#]", host)[0]
    return f"{scheme}://{user}{at}{host if host.startswith('[') else _PORT.sub('', host)}"


def connect_postgresql(address: str, **options: Any) -> Any:
    """A connection of psycopg; a server that vanishes is noticed within half a minute.

    Raises `UsageError` for an address that is none, and `psycopg.Error`.
    """
    psycopg = imported("psycopg", shown(address))
    # What it ignores after an error that it raised, it would print beside that error.
    logging.getLogger("psycopg").addHandler(_QUIET)
    return psycopg.connect(**{**_PATIENCE, **options, **_parts(address)})


def said_without_password(address: str, error: Exception) -> str:
    """What an error of psycopg says, without the password of the address it is about."""
    secret = str(_parts(address).get("password") or "")
    return str(error).replace(secret, "…") if secret else str(error)


def _parts(address: str) -> dict[str, Any]:
    """The parts of an address. What libpq says of a wrong one may have its password in it."""
    psycopg = imported("psycopg", shown(address))
    try:
        found: dict[str, Any] = psycopg.conninfo.conninfo_to_dict(address)
    except psycopg.Error:
        found = {}
    rest = address.partition("://")[2]
    people = re.split(r"[/?#]", rest)[0].count("@")
    ports = str(found.get("port", "")).replace(",", "")
    if not found or rest.count("@") != people or people > 1 or not (ports or "0").isdigit():
        raise UsageError(
            f"{shown(address)} is no address of PostgreSQL; write "
            "postgresql://USER@HOST/DATABASE, and in a password %40 for @, %2F for / and %3A for :"
        )
    return found
