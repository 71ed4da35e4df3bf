"""What the gateway tries again until it succeeds: a disk that was full may have room later."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from trimaran.system.errors import TrimaranError
from trimaran.system.logging import logger

__all__ = ["Trying"]

_log = logger("gateway")


class Trying:
    """Carries out a change as often as it is told, and says a failure once."""

    def __init__(self, folder: Path) -> None:
        """`folder` is where files are written, by which an error of the system is explained."""
        self._folder = folder
        self._said = ""

    def is_done(self, change: Callable[[], None]) -> bool:
        """Whether the change was carried out; one that fails leaves all as it was."""
        try:
            change()
        except (TrimaranError, OSError) as error:
            full = isinstance(error, OSError) and error.strerror
            said = f"{self._folder}: {full}" if full else str(error)
            if said != self._said:
                _log.error(f"{said}; what was valid before stays, until a new try succeeds")
            self._said = said
            return False
        self._said = ""
        return True
