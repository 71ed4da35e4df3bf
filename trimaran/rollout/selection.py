"""The models and versions that a server is started with."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from trimaran.checks.raising import checked_config, require_utf8, sound_ensembles
from trimaran.repository.config import ModelConfig, format_config
from trimaran.repository.live import (
    is_deployed,
    live_release,
    live_versions,
    pinned_versions,
    render_step,
)
from trimaran.repository.repository import Repository
from trimaran.serving.embedded_config import write_live
from trimaran.system.errors import TrimaranError

__all__ = ["Selection", "select"]


@dataclass(frozen=True)
class Selection:
    """Models to load at start, models to deploy after it, and models left out, with reasons."""

    load: tuple[str, ...]
    deploy: tuple[tuple[str, int], ...]
    problems: tuple[tuple[str, str], ...]
    notes: tuple[str, ...] = ()
    steps: Mapping[str, Collection[str]] = field(default_factory=dict)
    """The steps of each ensemble."""

    @property
    def promised(self) -> set[str]:
        """Every model that should be ready in the end."""
        return {*self.load, *(name for name, _ in self.deploy)}

    def needs(self, name: str) -> list[str]:
        """The models to load before an ensemble; ensembles among its steps are not waited for."""
        return [step for step in self.steps.get(name, ()) if step not in self.steps]


def select(repository: Repository, names: Sequence[str] = ()) -> Selection:
    """The models to serve: `names` with their steps, or everything that can be served.

    Everything means each released ensemble with its steps, and each model with a version that no
    such ensemble uses. A model's live configuration is written if it lacks the newest version.
    Versions that a live ensemble pins always stay in it, and a deployed version stays the only
    one. Raises `TrimaranError` for a name that the repository does not have.
    """
    known = repository.names()
    for name in names:
        if name not in known:
            raise TrimaranError(
                f"{repository.root}: has no model {name!r}; it has {', '.join(known) or 'none'}"
            )
    pins = {name: _pins(repository, name) for name in sound_ensembles(repository)}
    used = {model for by_model in pins.values() for model in by_model}
    load: list[str] = []
    pending: list[tuple[str, int]] = []
    problems: list[tuple[str, str]] = []
    for name in names or known:
        try:
            if name in pins:
                models, release = _ensemble(repository, name, pins[name])
                load += models
                pending += [(name, release)] if release else []
            elif names or name not in used:
                load += _standalone(repository, name, _pinned(name, pins), required=bool(names))
        except TrimaranError as error:
            problems.append((name, str(error)))
            # The steps of a broken ensemble may still work.
            load += [m for m in pins.get(name, ()) if repository.live_path(m).is_file()]
    notes = [note for name in names or known for note in _passed_over(repository, name)]
    notes += [note for name in load for note in _waiting(repository, name)]
    return Selection(
        tuple(dict.fromkeys(load)), tuple(pending), tuple(problems), tuple(notes), pins
    )


def _pins(repository: Repository, ensemble: str) -> dict[str, int]:
    """The step versions that an ensemble with a version uses, by model; -1 for the newest."""
    if not repository.versions(ensemble):
        return {}
    try:
        return pinned_versions(repository.live(ensemble) or checked_config(repository, ensemble))
    except TrimaranError:
        return pinned_versions(checked_config(repository, ensemble))


def _pinned(model: str, pins: Mapping[str, Mapping[str, int]]) -> set[int]:
    return {by_model[model] for by_model in pins.values() if by_model.get(model, -1) > 0}


def _ensemble(repository: Repository, name: str, pins: Mapping[str, int]) -> tuple[list[str], int]:
    """The models to load, and the release to deploy later where none is live."""
    release = live_release(repository.live(name))
    if release is not None:
        repository.version(name, release.number)
        for model, number in pins.items():
            repository.version(model, number)
            live = repository.live(model)
            complete = {v.number for v in repository.versions(model) if not v.problem}
            versions = {number, *(complete & set(live_versions(live)))}
            _serve(repository, live or checked_config(repository, model), versions)
        return [*pins, name], 0
    newest = repository.newest(name)
    if newest is not None:
        return [], newest.number
    if any(version.manifest is None for version in repository.versions(name)):
        return [name], 0  # made without trimaran
    return [], 0


def _standalone(
    repository: Repository, name: str, pinned: set[int], required: bool
) -> Iterator[str]:
    require_utf8(repository, name)
    versions = repository.versions(name)
    if not repository.has_config(name):
        yield name  # Triton may know what to do with it
        return
    config = checked_config(repository, name)
    if not versions:
        if required:
            raise TrimaranError(f"{name} has no version; publish one with 'trimaran export'")
        return
    newest = repository.newest(name)
    if newest is None and any(version.manifest for version in versions):
        raise TrimaranError(f"no version of {name} is complete: {versions[-1].problem}")
    live = repository.live(name)
    deployed = live_release(live) if is_deployed(live) else None
    if deployed is not None and not pinned:
        repository.version(name, deployed.number)
    elif newest is not None and not config.HasField("version_policy"):
        base = (live or config) if pinned else config
        _serve(repository, base, {newest.number, *pinned})
    yield name


def _serve(repository: Repository, config: ModelConfig, versions: set[int]) -> None:
    """Write `config` with `versions` as a model's live configuration, unless it is that already."""
    live, wanted = repository.live(config.name), render_step(config, versions)
    if live is None or format_config(live) != format_config(wanted):
        write_live(repository, wanted)


def _passed_over(repository: Repository, name: str) -> Iterator[str]:
    """Notes on incomplete versions of a model that has a complete one."""
    if repository.newest(name) is not None:
        for version in repository.versions(name):
            if version.problem:
                yield f"version {version.number} of {name} is skipped: {version.problem}"


def _waiting(repository: Repository, name: str) -> Iterator[str]:
    """A note on a version or release that is newer than the deployed one."""
    live, newest = repository.live(name), repository.newest(name)
    if newest is not None and is_deployed(live) and newest.number > max(live_versions(live)):
        yield (
            f"{name} serves {max(live_versions(live))}, as deployed; {newest.number} waits for "
            f"'trimaran deploy {name}'"
        )
