"""Packages of the extra `tables`, which only some places need."""

from __future__ import annotations

from typing import Any

from trimaran.system.errors import UsageError

__all__ = ["imported"]

_INSTALL = "run pip install 'trimaran[tables]'"


def imported(package: str, place: str) -> Any:
    """A package of the extra `tables`, to read a place. Raises `UsageError` without it."""
    try:
        return __import__(package)
    except ModuleNotFoundError:
        raise UsageError(f"to read {place}, the package {package} is needed; {_INSTALL}") from None
