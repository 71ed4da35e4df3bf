"""The version directories that answer a model's requests: those that are live, or the newest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from trimaran.repository.config import ModelConfig
from trimaran.repository.live import live_versions, pinned_versions
from trimaran.repository.repository import Repository

__all__ = ["find_served", "served_directories"]


def served_directories(repository: Repository, config: ModelConfig) -> Mapping[str, Path]:
    """The directory of the model's version, and of each of its steps', by the model's name.

    A version is the one that is live, and where none is, the newest; a model without a complete
    version is left out. Raises `ConfigError` for a live configuration that cannot be read.
    """
    pins = pinned_versions(repository.live(config.name) or config)
    found = {}
    for name in (config.name, *(step.model_name for step in config.ensemble_scheduling.step)):
        wanted = pins.get(name, -1)
        live = [wanted] if wanted > 0 else live_versions(repository.live(name))
        complete = [each for each in repository.versions(name) if not each.problem]
        chosen = [each for each in complete if each.number in live] or complete
        if chosen:
            found[name] = chosen[-1].path
    return found


def find_served(repository: Repository, config: ModelConfig, files: Sequence[str]) -> Path | None:
    """The directory, of the model or of a step of it, that has all these files."""
    for directory in served_directories(repository, config).values():
        if all((directory / file).is_file() for file in files):
            return directory
    return None
