"""Addresses of databases, such as `postgresql://reader:secret@db.internal/shop`."""

from __future__ import annotations

import re

__all__ = ["is_address", "shown"]

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
