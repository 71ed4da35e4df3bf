"""A repository as a caller names it: a path, or the repository itself."""

from __future__ import annotations

from pathlib import Path

from trimaran.repository.repository import Repository

__all__ = ["DEFAULT_PLACE", "Place", "made_at", "opened_at"]

Place = str | Path | Repository

DEFAULT_PLACE = "model_repository"


def opened_at(place: Place) -> Repository:
    """The repository there. Raises `TrimaranError` where there is none."""
    return place if isinstance(place, Repository) else Repository.open(Path(place))


def made_at(place: Place) -> Repository:
    """The repository there, made if it is missing. Raises `TrimaranError`."""
    return place if isinstance(place, Repository) else Repository.create(Path(place))
