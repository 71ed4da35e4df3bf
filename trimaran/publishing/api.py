"""What `import trimaran` offers for a repository's releases and contents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from trimaran.checks.raising import checked_config
from trimaran.publishing.releases import make_release, read_release
from trimaran.repository.config import is_ensemble
from trimaran.repository.live import live_versions
from trimaran.repository.presence import Presence, find_servers
from trimaran.repository.repository import DEFAULT_PLACE, Place, Repository, Version, opened_at
from trimaran.system.errors import TrimaranError

__all__ = ["Released", "Status", "VersionStatus", "release", "status"]


@dataclass(frozen=True)
class Released:
    """An ensemble's release, new unless `unchanged`, and the version of each step by model."""

    ensemble: str
    number: int
    unchanged: bool
    pins: Mapping[str, int]


@dataclass(frozen=True)
class VersionStatus:
    """One version of a model; `version` is `None` for a model that has none, or is broken."""

    model: str
    version: int | None = None
    live: bool = False
    format: str = ""
    parity: float | None = None
    """The largest error of any output against PyTorch."""
    size: int = 0
    """Bytes."""
    created_at: str = ""
    detail: str = ""


@dataclass(frozen=True)
class Status:
    """What a repository holds, model by model, and which servers serve it."""

    repository: str
    servers: list[Presence]
    models: list[VersionStatus]

    def record(self) -> dict[str, Any]:
        """The same as plain values."""
        return asdict(self)


def release(
    ensemble: str, pins: Mapping[str, int] | None = None, repository: Place = DEFAULT_PLACE
) -> Released:
    """Make an ensemble's next release from its steps' newest versions.

    `pins` has other versions for some steps, by model. The same steps and configurations as in
    the newest release make no new one. Raises `TrimaranError` where a step has no complete
    version, or the wiring does not fit.
    """
    opened = opened_at(repository)
    made = make_release(opened, ensemble, pins)
    found = read_release(opened, ensemble, made.version).pins
    return Released(ensemble, made.version, made.unchanged, found)


def status(repository: Place = DEFAULT_PLACE) -> Status:
    """Every model's versions, which of them are live, and the servers that run.

    Raises `TrimaranError` where there is no repository; what is wrong with one model is in its
    `detail`.
    """
    opened = opened_at(repository)
    models = [found for name in opened.names() for found in _versions(opened, name)]
    return Status(str(opened.root), find_servers(opened), models)


def _versions(repository: Repository, name: str) -> list[VersionStatus]:
    try:
        ensemble = is_ensemble(checked_config(repository, name))
        live = live_versions(repository.live(name))
    except TrimaranError as error:
        return [VersionStatus(name, detail=f"broken: {error}")]
    versions = repository.versions(name)
    if not versions:
        kind = "ensemble" if ensemble else ""
        return [VersionStatus(name, format=kind, detail="no version yet")]
    return [_version(repository, name, v, v.number in live, ensemble) for v in versions]


def _version(
    repository: Repository, name: str, version: Version, live: bool, ensemble: bool
) -> VersionStatus:
    manifest = version.manifest
    if manifest is None or version.problem:
        return VersionStatus(name, version.number, live, detail=f"unusable: {version.problem}")
    detail = manifest.source.get("factory") or manifest.source.get("file", "")
    if ensemble:
        try:
            pins = read_release(repository, name, version.number).pins
            detail = ", ".join(f"{model} {number}" for model, number in pins.items())
        except TrimaranError as error:
            detail = f"unusable: {error}"
    errors = [row["largest_error"] for row in manifest.parity if "largest_error" in row]
    return VersionStatus(
        name,
        version.number,
        live,
        manifest.format,
        max(errors) if errors else None,
        manifest.size,
        manifest.created_at,
        detail,
    )
