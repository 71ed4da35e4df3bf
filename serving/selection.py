"""Which models a server is started with, and which versions of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from trimaran.config import format_config, is_ensemble, write_config
from trimaran.errors import TrimaranError
from trimaran.live import keep_generation, live_release, live_versions, pinned_versions, render_step
from trimaran.repository import Repository

__all__ = ["Selection", "select"]


@dataclass(frozen=True)
class Selection:
    """What to load at start, what to deploy once the server runs, and what is left out and why."""

    load: tuple[str, ...]
    deploy: tuple[tuple[str, int], ...]
    problems: tuple[tuple[str, str], ...]
    notes: tuple[str, ...] = ()

    @property
    def promised(self) -> set[str]:
        """Every model that ought to be ready in the end."""
        return {*self.load, *(name for name, _ in self.deploy)}


def select(repository: Repository, names: Sequence[str] = ()) -> Selection:
    """What to serve: `names` with what they need, or everything that can be.

    Everything is each released ensemble with its steps, and each model with a version that no
    such ensemble uses. Live configurations are written for models that have none, or name other
    versions than the newest. Raises `TrimaranError` for a name that the repository does not have.
    """
    known = repository.names()
    for name in names:
        if name not in known:
            raise TrimaranError(
                f"{repository.root}: has no model {name!r}; it has {', '.join(known) or 'none'}"
            )
    load: list[str] = []
    pending: list[tuple[str, int]] = []
    problems: list[tuple[str, str]] = []
    used: set[str] = set()
    chosen = list(names or known)
    for name in sorted(chosen, key=lambda name: not _is_ensemble(repository, name)):
        if not names and name in used:
            continue
        try:
            if _is_ensemble(repository, name):
                models, release = _ensemble(repository, name)
                load += models
                pending += [(name, release)] if release else []
                used |= _steps_of(repository, name)
            elif name not in used:
                load += _standalone(repository, name, required=bool(names))
        except TrimaranError as error:
            problems.append((name, str(error)))
    notes = [note for name in chosen for note in _passed_over(repository, name)]
    return Selection(tuple(dict.fromkeys(load)), tuple(pending), tuple(problems), tuple(notes))


def _passed_over(repository: Repository, name: str) -> Iterator[str]:
    """Versions that are left out beside a complete one."""
    if repository.newest(name) is not None:
        for version in repository.versions(name):
            if version.problem:
                yield f"version {version.number} of {name} is passed over: {version.problem}"


def _is_ensemble(repository: Repository, name: str) -> bool:
    try:
        return is_ensemble(repository.config(name))
    except TrimaranError:
        return False


def _ensemble(repository: Repository, name: str) -> tuple[list[str], int]:
    """The models to load, and the release to deploy later where none is live."""
    live = repository.live(name)
    release = live_release(live)
    if live is not None and release is not None:
        repository.version(name, release.number)
        return [*pinned_versions(live), name], 0
    newest = repository.newest(name)
    if newest is not None:
        return [], newest.number
    if any(version.manifest is None for version in repository.versions(name)):
        return [name], 0  # a Triton repository that trimaran did not make
    return [], 0


def _steps_of(repository: Repository, name: str) -> set[str]:
    if not repository.versions(name):
        return set()
    config = repository.live(name) or repository.config(name)
    return set(pinned_versions(config))


def _standalone(repository: Repository, name: str, required: bool) -> Iterator[str]:
    config = repository.config(name)
    versions = repository.versions(name)
    if not versions:
        if required:
            raise TrimaranError(f"{name} has no version; publish one with 'trimaran export'")
        return
    newest = repository.newest(name)
    if newest is None and any(v.manifest for v in versions):
        raise TrimaranError(f"no version of {name} is complete: {versions[-1].problem}")
    if newest is not None and not config.HasField("version_policy"):
        live = repository.live(name)
        wanted = keep_generation(render_step(config, {newest.number}), live)
        if live is None or newest.number not in live_versions(live) or _edited(live, wanted):
            write_config(repository.live_path(name), wanted)
    yield name


def _edited(live, wanted) -> bool:  # type: ignore[no-untyped-def]
    """Whether the configuration that people write changed since the live one was made."""
    same = render_step(wanted, live_versions(live))
    return format_config(live) != format_config(same)
