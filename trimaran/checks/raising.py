"""The first error in a configuration as an exception, for callers that must not continue."""

from __future__ import annotations

from collections.abc import Iterable

from trimaran.checks.backends import backend_of
from trimaran.checks.finding import Severity
from trimaran.checks.model import check_model
from trimaran.repository.config import ModelConfig, is_ensemble
from trimaran.repository.repository import Repository
from trimaran.system.errors import ConfigError, TrimaranError

__all__ = ["check_config", "checked_config", "require_utf8", "sound_ensembles", "standing_configs"]


def check_config(config: ModelConfig, directory: str, where: str) -> None:
    """Refuse what Triton would refuse, or take for something else than was meant.

    Fields that a Python model may complete are let through, since only its source would show them.
    Raises `ConfigError` with the field, the value found and the remedy.
    """
    partial = backend_of(config) in ("", "python") and not is_ensemble(config)
    for finding in check_model(config, directory, partial=partial):
        if finding.severity is Severity.ERROR:
            raise ConfigError(f"{where}: {finding.sentence}")


def checked_config(repository: Repository, name: str) -> ModelConfig:
    """A model's own configuration, which Triton would take.

    Raises `ConfigError`, or `TrimaranError` where there is none.
    """
    require_utf8(repository, name)
    config = repository.config(name)
    check_config(config, name, str(repository.config_path(name)))
    config.name = name
    return config


def require_utf8(repository: Repository, name: str) -> None:
    """Raise `ConfigError` for a model whose directory has a name that no configuration can hold."""
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise ConfigError(
            f"{repository.root}: the name of the directory {name!r} is not UTF-8; rename it"
        ) from error


def standing_configs(repository: Repository, names: Iterable[str]) -> dict[str, ModelConfig]:
    """The checked configurations of those models that have one, by name."""
    return {name: checked_config(repository, name) for name in names if repository.has_config(name)}


def sound_ensembles(repository: Repository) -> list[str]:
    """Every model that is an ensemble and whose configuration Triton would take."""
    return [name for name in repository.names() if _is_sound_ensemble(repository, name)]


def _is_sound_ensemble(repository: Repository, name: str) -> bool:
    try:
        return is_ensemble(checked_config(repository, name))
    except TrimaranError:
        return False
