"""Finding and removing people in every place, with a record of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trimaran.privacy.erasures import Erasures
from trimaran.privacy.place import Found
from trimaran.privacy.places import fixed_of, places_of
from trimaran.repository.repository import Repository
from trimaran.rollout.results.database import Database
from trimaran.system.files import exclusive_lock

__all__ = ["Line", "Report", "erase", "find"]


@dataclass(frozen=True)
class Line:
    """One place, and what was removed from it, or would be, or stays in it."""

    place: str
    unit: str
    found: Found
    remedy: str = ""
    """What a person does about it, where no command removes it."""


@dataclass(frozen=True)
class Report:
    """What was removed, or would be."""

    removed: Sequence[Line]
    """The places that keep something about people and can be changed, also those without them."""
    stays: Sequence[Line]
    """What names them and is not changed."""
    nowhere: Sequence[str]
    """The ids of which nothing was found."""
    past: dict[str, str]
    """When ids were erased before."""

    @property
    def is_clean(self) -> bool:
        """Whether nothing stays, or may stay, once `removed` is removed."""
        return not self.stays and not any(line.found.hidden for line in self.removed)


def find(
    repository: Repository,
    ids: Sequence[str],
    *,
    runs: Path,
    predictions: Path | None = None,
    results: Database | None = None,
) -> Report:
    """What is kept about ids, without changing anything.

    Raises `TrimaranError` where something could not be removed by this user.
    """
    places = places_of(repository, predictions, results)
    found = [Line(each.name, each.unit, each.find(ids)) for each in places]
    return _report(ids, found, _stays(repository, ids, runs), _erasures(repository).past(ids))


def erase(
    repository: Repository,
    ids: Sequence[str],
    *,
    runs: Path,
    predictions: Path | None = None,
    results: Database | None = None,
) -> Report:
    """Remove what is kept about ids.

    Everything is found before anything is removed, so what cannot be removed stops it at once. An
    interrupted erasure is finished by the next. Raises `TrimaranError`, or `OSError` where the
    record of erasures cannot be written; nothing is removed then.
    """
    erasures = _erasures(repository)
    with exclusive_lock(repository.state / "erasing.lock"):
        places = places_of(repository, predictions, results)
        past, interrupted = erasures.past(ids), erasures.is_interrupted(ids)
        stays = _stays(repository, ids, runs)
        found = [each.find(ids) for each in places]
        erasures.begin(ids)
        # From all, as an index may read from its log meanwhile.
        if interrupted or any(each.total for each in found):
            found = [each.remove(ids) for each in places]
        removed = [
            Line(place.name, place.unit, each) for place, each in zip(places, found, strict=True)
        ]
        erasures.finish(ids, {line.place: line.found.counts for line in removed})
    return _report(ids, removed, stays, past)


def _stays(repository: Repository, ids: Sequence[str], runs: Path) -> list[Line]:
    places = fixed_of(repository, runs)
    lines = [Line(each.name, each.unit, each.find(ids), each.remedy) for each in places]
    return [line for line in lines if line.found.total]


def _report(
    ids: Sequence[str], removed: Sequence[Line], stays: Sequence[Line], past: dict[str, str]
) -> Report:
    known = {each for line in (*removed, *stays) for each in line.found.counts}
    return Report(removed, stays, [each for each in ids if each not in known], past)


def _erasures(repository: Repository) -> Erasures:
    return Erasures(repository.state / "privacy")
