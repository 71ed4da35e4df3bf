"""The values in `gateway.toml`: each is judged where it stands, and named in the error.

`where` is the beginning of the sentence, such as `"[listen]: "`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from trimaran.system.errors import TrimaranError
from trimaran.system.toml_text import value_of

__all__ = [
    "address_of",
    "file_of",
    "host_and_port_of",
    "name_of",
    "number_of",
    "require_url",
    "word_of",
]

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_WORD = re.compile(r"[!-~]{1,200}")
"""What a header may carry unchanged."""
_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,252}")
_PORTS = range(1, 65_536)


def number_of(table: Mapping[str, Any], key: str, where: str, most: int) -> int | None:
    """A whole number from 1 to `most`; None where the key is absent."""
    found = value_of(table, key, int, f"a whole number from 1 to {most}", where)
    if found is not None and not 1 <= found <= most:
        raise TrimaranError(f"{where}{key} is {found}; expected a whole number from 1 to {most}")
    return None if found is None else int(found)


def word_of(table: Mapping[str, Any], key: str, where: str, default: str = "") -> str:
    """A text without spaces, which a header may carry; without a default it must be given."""
    found = value_of(table, key, str, "text in quotes", where, required=not default)
    if found is not None and not _WORD.fullmatch(found):
        raise TrimaranError(
            f"{where}{key} is {found!r}; expected up to 200 letters, digits and signs"
        )
    return found or default


def name_of(table: Mapping[str, Any], key: str, where: str) -> str:
    """A name, which must be given."""
    found: str = value_of(table, key, str, "text in quotes", where, required=True)
    if not _NAME.fullmatch(found):
        raise TrimaranError(f"{where}{key} is {found!r}; use letters, digits, '.', '_' and '-'")
    return found


def file_of(table: Mapping[str, Any], key: str, where: str, folder: Path) -> Path | None:
    """The path of a file that is there, relative to `folder`; None where the key is absent."""
    found = value_of(table, key, str, "the path of a file", where)
    if found is None:
        return None
    if not found or not found.isprintable():
        raise TrimaranError(f"{where}{key} is {found!r}; expected the path of a file")
    path: Path = folder / found
    try:
        is_file = path.is_file()
    except OSError as error:  # a name that is too long, a folder that may not be read
        raise TrimaranError(f"{where}{key}: {path} cannot be read: {error.strerror}") from None
    if not is_file:
        raise TrimaranError(f"{where}{key}: there is no file {path}")
    return path


def address_of(table: Mapping[str, Any], key: str, where: str, default: str) -> str:
    """A numeric address."""
    expected = "an address such as 127.0.0.1, 0.0.0.0 or ::1"
    found: str = value_of(table, key, str, expected, where)
    if found is None:
        return default
    try:
        sound = "%" not in found and bool(ipaddress.ip_address(found))
    except ValueError:
        sound = False
    if not sound:
        raise TrimaranError(f"{where}{key} is {found!r}; expected {expected}")
    return found


def host_and_port_of(table: Mapping[str, Any], key: str, where: str) -> tuple[str, int]:
    """A host and a port, which must be given; an IPv6 address is in brackets."""
    expected = "host:port, such as 127.0.0.1:8000 or [::1]:8000"
    found = value_of(table, key, str, expected, where, required=True)
    host, _, port = found.rpartition(":")
    numeric = port.isascii() and port.isdigit() and len(port) < 6
    if not numeric or int(port) not in _PORTS or not _is_host(host):
        raise TrimaranError(f"{where}{key} is {found!r}; expected {expected}")
    return host.strip("[]"), int(port)


def _is_host(text: str) -> bool:
    if text.startswith("[") and text.endswith("]"):
        try:
            return bool(ipaddress.IPv6Address(text[1:-1]))
        except ValueError:
            return False
    return bool(_HOST.fullmatch(text))


def require_url(address: str, where: str) -> None:
    """Raise `TrimaranError` unless keys can be fetched there, and not be replaced on the way."""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    sound = host and port != 0 and parts.username is None and _WORD.fullmatch(address)
    if not sound or parts.scheme not in ("http", "https"):
        raise TrimaranError(
            f"{where} is {address!r}; expected an address such as https://host/keys"
        )
    if parts.scheme == "http" and not _is_loopback(str(host)):
        raise TrimaranError(
            f"{where} is {address!r}; use https, since over http others can replace the keys on "
            "the way (only to this machine itself it may be http)"
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
