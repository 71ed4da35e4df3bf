"""The key by which a directory's logs name people, or the sentence where it cannot be used."""

from __future__ import annotations

from pathlib import Path

from trimaran.privacy.writable import not_allowed
from trimaran.served.prediction_line import Keyed
from trimaran.system.errors import TrimaranError

__all__ = ["key_in"]


def key_in(directory: Path) -> Keyed | None:
    """The key of a directory, or None where it has none. Raises `TrimaranError`."""
    try:
        return Keyed.at(directory)
    except PermissionError as error:
        raise not_allowed(directory / "key") from error
    except ValueError as error:
        raise TrimaranError(
            f"{directory / 'key'} is not the key of 32 bytes that was made there; restore it from "
            "a backup and run the command again: nothing was removed"
        ) from error
