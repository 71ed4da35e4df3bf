"""TOML that people write, read strictly: an unknown key or a value of another type is an error.

Each function says what is wrong after `where`, which its caller gives as the beginning of a
sentence: empty for the top of a file, or such as `"[ports]: "`.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from trimaran.system.errors import TrimaranError
from trimaran.system.files import read_regular

__all__ = ["nearest", "parse_toml", "read_utf8", "refuse_unknown", "texts_of", "value_of"]

_LISTED = 12
_MOST_BYTES = 10_000_000
"""No person writes so much."""


def read_utf8(path: Path) -> str:
    """The text of a regular file, without a byte order mark.

    Raises `TrimaranError` that says why it cannot be read.
    """
    try:
        content = read_regular(path, most=_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise TrimaranError(f"has more than {_MOST_BYTES / 1e6:.0f} MB; shorten it")
        return content.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise TrimaranError(f"cannot be read: {reason}") from None


def parse_toml(text: str) -> dict[str, Any]:
    """The tables of a TOML text. Raises `TrimaranError` with the line."""
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise TrimaranError("not TOML: it is nested too deeply; correct it there") from None
    except ValueError as error:  # TOMLDecodeError, or an integer of thousands of digits
        raise TrimaranError(f"not TOML: {error}; correct it there") from None


def value_of(
    table: Mapping[str, Any],
    key: str,
    types: type | tuple[type, ...],
    expected: str,
    where: str = "",
    *,
    required: bool = False,
) -> Any:
    """The value of a key, a text without spaces around it; None where the key is absent."""
    found = table.get(key)
    if found is None and not required:
        return None
    if found is None:
        raise TrimaranError(f"{where}{key} is missing; expected {expected}")
    if not isinstance(found, types) or (isinstance(found, bool) and types is not bool):
        raise TrimaranError(f"{where}{key} is {found!r}; expected {expected}")
    return found.strip() if isinstance(found, str) else found


def texts_of(table: Mapping[str, Any], key: str, where: str = "") -> tuple[str, ...] | None:
    """The texts of a list, without spaces around them; None where the key is absent."""
    values = value_of(table, key, list, "a list of texts", where)
    if values is None:
        return None
    for each in values:
        if not isinstance(each, str):
            raise TrimaranError(f"{where}{key} holds {each!r}; expected text in quotes")
    return tuple(each.strip() for each in values)


def refuse_unknown(table: Mapping[str, Any], known: Iterable[str], where: str = "") -> None:
    """Raise `TrimaranError` for the first key that is not among `known`."""
    for key in table:
        if key not in known:
            raise TrimaranError(f"{where}there is no key {key!r}; {nearest(key, known)}")


def nearest(name: str, names: Iterable[str]) -> str:
    """A remedy for an unknown name: the nearest of `names`, or the first of them."""
    known = list(names)
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f"did you mean {near[0]!r}?"
    more = ", …" if len(known) > _LISTED else ""
    return f"choose from {', '.join(known[:_LISTED])}{more}"
