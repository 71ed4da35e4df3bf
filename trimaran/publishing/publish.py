"""Publishing: a verified artifact becomes a version in one rename, and only if it is new."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from pathlib import Path

from trimaran.checks.raising import check_config
from trimaran.repository.config import ModelConfig, interface_difference, read_config, write_config
from trimaran.repository.manifest import Manifest
from trimaran.repository.repository import Repository, Version
from trimaran.system.errors import ConfigError, TrimaranError
from trimaran.system.files import flush_tree

__all__ = ["Publication", "check_publishable", "publish"]


@dataclass(frozen=True)
class Publication:
    """The result of publishing: the version that holds the content, new or not."""

    model: str
    version: int
    unchanged: bool

    def __str__(self) -> str:
        return f"{self.model} version {self.version}" + (" (unchanged)" if self.unchanged else "")


def check_publishable(repository: Repository, config: ModelConfig) -> None:
    """Refuse a generated configuration that is invalid or disagrees with the existing one.

    Raises `ConfigError` with both values.
    """
    name = config.name
    check_config(config, name, f"the generated configuration of {name}")
    path = repository.config_path(name)
    if not path.is_file():
        return
    existing = read_config(path)
    check_config(existing, name, str(path))
    difference = interface_difference(existing, config)
    if difference:
        raise ConfigError(
            f"{path}: {difference}; change the configuration, or publish the new interface under "
            "a new model name"
        )


def publish(
    repository: Repository, config: ModelConfig, staged: Path, manifest: Manifest
) -> Publication:
    """Make `staged` the next version of `config.name`.

    `staged` is a directory inside `repository.staging()` that holds the version's files. An
    existing configuration is never touched; a missing one is written. No version is made when the
    newest has the same content and undamaged files, was not made for another ensemble, and also
    records what it was chosen over, if this one does. Raises `ConfigError` when the existing
    configuration disagrees with the artifact.
    """
    name = config.name
    with repository.publishing_lock():
        check_publishable(repository, config)
        newest = repository.newest(name)
        if newest and _holds(newest, manifest):
            if not repository.has_config(name):
                write_config(repository.config_path(name), config)
            return Publication(name, newest.number, unchanged=True)
        manifest.write(staged)
        staged.chmod(0o755)
        flush_tree(staged)
        return Publication(name, _move_into_place(repository, config, staged), unchanged=False)


def _holds(version: Version, wanted: Manifest) -> bool:
    manifest = version.manifest
    return (
        manifest is not None
        and manifest.content == wanted.content
        and (wanted.ensemble is None or manifest.ensemble in (None, wanted.ensemble))
        and bool(manifest.beat or not wanted.beat)
        and manifest.damage(version.path, hashes=True) is None
    )


def _move_into_place(repository: Repository, config: ModelConfig, staged: Path) -> int:
    directory = repository.model(config.name)
    if not directory.exists():
        model = staged.with_name(f"{staged.name}.model")
        model.mkdir(mode=0o755)
        write_config(model / "config.pbtxt", config)
        staged = staged.rename(model / "1")
        if _rename(model, directory):
            return 1
    if not repository.has_config(config.name):
        write_config(repository.config_path(config.name), config)
    number = max((v.number for v in repository.versions(config.name)), default=0) + 1
    while not _rename(staged, directory / str(number)):
        number += 1
    return number


def _rename(source: Path, target: Path) -> bool:
    """Rename `source` to `target`; `False` if another process was there first."""
    try:
        source.rename(target)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return False
        if error.errno == errno.EXDEV:
            raise TrimaranError(
                f"{target.parent} is a separate mount, so nothing can be renamed into it in one "
                "step; mount its parent directory instead"
            ) from error
        raise TrimaranError(f"{target}: cannot be published: {error}") from error
    return True
