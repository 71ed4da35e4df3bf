"""Who does something: the name that the ledger keeps.

A name is what its person says it is. Roles guard against mistakes, and the digests of the ledger
show changes; what guards the ledger is the right to write to its file.
"""

from __future__ import annotations

import getpass

from trimaran.system.errors import UsageError

__all__ = ["person"]

_LONGEST = 100


def person(given: str | None) -> str:
    """The name that was given, or else that of the system's user. Raises `UsageError`."""
    name = (_user() if given is None else given).strip()
    if not name or len(name) > _LONGEST or not name.isprintable():
        raise UsageError(
            f"--by is {name[:_LONGEST]!r}; name a person, in at most {_LONGEST} printable "
            "characters"
        )
    return name


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user id without a name, as in a container
        raise UsageError(
            "the system has no name for this user; name the person with --by, or TRIMARAN_USER"
        ) from None
