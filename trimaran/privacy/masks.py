"""How a log has a digest in place of an id, by the key that lies beside it.

| log | key | in place of an id |
|---|---|---|
| predictions | `key` | `masked:` and BLAKE2b, as `served/prediction_line.py` does |
| the gateway's | `digest.key` | 16 digits of HMAC-SHA-256, as `gateway/lua/digest.lua` does |
| an experiment's clients | `units.key` | the same |
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from pathlib import Path

from trimaran.privacy.writable import not_allowed
from trimaran.rollout.traffic.units import DIGITS
from trimaran.rollout.traffic.units import KEY as UNITS_KEY
from trimaran.served.prediction_line import Keyed
from trimaran.system.errors import TrimaranError
from trimaran.system.files import read_regular

__all__ = ["Mask", "gateway_mask", "key_in", "prediction_mask", "unit_mask"]

Mask = Callable[[str], str]
"""What stands in a log in place of an id."""

_GATEWAY_KEY = "digest.key"


def prediction_mask(directory: Path) -> Mask | None:
    """That of a prediction log, or None where its key is missing. Raises `TrimaranError`."""
    keyed = key_in(directory)
    return None if keyed is None else keyed.masked


def gateway_mask(directory: Path) -> Mask | None:
    """That of the gateway's log, or None where its key is missing. Raises `TrimaranError`."""
    return _digests(directory / _GATEWAY_KEY)


def unit_mask(directory: Path) -> Mask | None:
    """That of an experiment's clients; None once it has ended. Raises `TrimaranError`."""
    return _digests(directory / UNITS_KEY)


def key_in(directory: Path) -> Keyed | None:
    """The key of a directory, or None where it has none. Raises `TrimaranError`."""
    path = directory / "key"
    try:
        return Keyed.at(directory)
    except PermissionError as error:
        raise not_allowed(path) from error
    except ValueError as error:
        raise _damaged(path) from error


def _digests(path: Path) -> Mask | None:
    try:
        key = read_regular(path).strip()
    except FileNotFoundError:
        return None
    except PermissionError as error:
        raise not_allowed(path) from error
    if len(key) != 64:
        raise _damaged(path)
    return lambda each: hmac.new(key, each.encode(), "sha256").hexdigest()[:DIGITS]


def _damaged(path: Path) -> TrimaranError:
    return TrimaranError(
        f"{path} is not the whole key that was made there; restore it from a backup and run the "
        "command again: nothing was removed"
    )
