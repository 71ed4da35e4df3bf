"""The Triton model repository on disk: models, versions, and the place of generated state.

```
model_repository/
  efficientnet_lite0_onnx/
    config.pbtxt          what people write
    configs/live.pbtxt    generated: the same, with the versions that are served
    3/  4/                immutable versions, each with its manifest.json
```
"""

from __future__ import annotations

import re
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from trimaran.repository.config import ModelConfig, read_config
from trimaran.repository.manifest import Manifest
from trimaran.system.errors import ConfigError, TrimaranError, UsageError
from trimaran.system.files import exclusive_lock, scratch_directory

__all__ = [
    "DEFAULT_PLACE",
    "LIVE_CONFIG_NAME",
    "Place",
    "Repository",
    "Version",
    "check_model_name",
    "made_at",
    "opened_at",
]

LIVE_CONFIG_NAME = "live"
"""What `tritonserver --model-config-name` is given: `configs/live.pbtxt`."""

_VERSION = re.compile(r"[1-9][0-9]*")
_HIGHEST_VERSION = 2**63 - 1
"""The highest that Triton takes."""
_MODEL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,127}")


DEFAULT_PLACE = "model_repository"


@dataclass(frozen=True)
class Version:
    """One version directory. `problem` says why it cannot be served, if it cannot."""

    number: int
    path: Path
    manifest: Manifest | None
    problem: str | None


class Repository:
    """A model repository; all paths below it are built here."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @classmethod
    def open(cls, root: Path) -> Repository:
        """The repository at `root`. Raises `TrimaranError` if there is no such directory."""
        if not root.is_dir():
            raise TrimaranError(
                f"{root}: no such model repository; name one with --repository, or make it with "
                "'trimaran export'"
            )
        return cls(root.resolve())

    @classmethod
    def create(cls, root: Path) -> Repository:
        """The repository at `root`, made if it is not there. Raises `TrimaranError`."""
        try:
            root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise TrimaranError(f"{root}: cannot be a model repository: {error}") from error
        return cls(root.resolve())

    @property
    def state(self) -> Path:
        """Where this machine keeps state about the repository: next to it, never inside."""
        return self.root.parent / ".trimaran" / self.root.name

    def server_state(self, name: str = "") -> Path:
        """Where the server of a name keeps its own; by default the one without a name."""
        return self.state / "servers" / name if name else self.state

    def model(self, name: str) -> Path:
        """The directory of a model, whether or not it exists."""
        return self.root / name

    def config_path(self, name: str) -> Path:
        """The configuration that people write."""
        return self.model(name) / "config.pbtxt"

    def live_path(self, name: str) -> Path:
        """The generated configuration, which the server reads."""
        return self.model(name) / "configs" / f"{LIVE_CONFIG_NAME}.pbtxt"

    def names(self) -> list[str]:
        """Every directory that has a configuration or a version, sorted."""
        return sorted(
            entry.name
            for entry in self.root.iterdir()
            if entry.is_dir() and (self.has_config(entry.name) or self.versions(entry.name))
        )

    def has_config(self, name: str) -> bool:
        """Whether a model has a `config.pbtxt`."""
        return self.config_path(name).is_file()

    def config(self, name: str) -> ModelConfig:
        """A model's `config.pbtxt`, unchecked; `checks.raising.checked_config` also checks it.

        Raises `ConfigError` where it cannot be read, and `TrimaranError` where there is none.
        """
        if not self.has_config(name):
            known = self.names()
            raise TrimaranError(
                f"{self.root}: model {name!r} has no config.pbtxt"
                if name in known
                else f"{self.root}: has no model {name!r}; it has {', '.join(known) or 'none'}"
            )
        return read_config(self.config_path(name))

    def live(self, name: str) -> ModelConfig | None:
        """The generated configuration, or `None` where nothing was generated."""
        path = self.live_path(name)
        try:
            return read_config(path) if path.is_file() else None
        except ConfigError as error:
            raise ConfigError(f"{error}; it is generated: remove it and deploy again") from error

    def versions(self, name: str) -> list[Version]:
        """The version directories of a model, oldest first, complete or not."""
        directory = self.model(name)
        if not directory.is_dir():
            return []
        numbers = sorted(
            int(entry.name)
            for entry in directory.iterdir()
            if entry.is_dir() and _VERSION.fullmatch(entry.name)
        )
        return [_inspect(directory / str(number), number) for number in numbers]

    def version(self, name: str, number: int) -> Version:
        """One complete version. Raises `TrimaranError` if it is missing or damaged."""
        for version in self.versions(name):
            if version.number == number:
                if version.problem:
                    raise TrimaranError(
                        f"{name} version {number} cannot be served: {version.problem}"
                    )
                return version
        have = ", ".join(str(version.number) for version in self.versions(name)) or "none"
        raise TrimaranError(f"{name} has no version {number}; it has {have}")

    def newest(self, name: str) -> Version | None:
        """The highest complete version, or `None`."""
        complete = [version for version in self.versions(name) if not version.problem]
        return complete[-1] if complete else None

    def staging(self) -> AbstractContextManager[Path]:
        """A scratch directory on the repository's file system, gone after the block."""
        return scratch_directory(self.state / "staging")

    def publishing_lock(self) -> AbstractContextManager[None]:
        """Held from reading the newest version to the rename that makes the next one."""
        return exclusive_lock(self.state / "publishing.lock")

    def deployment_lock(self, *, wait: bool = True) -> AbstractContextManager[None]:
        """Held while a process changes what is live: one deployment after another.

        Without `wait` it raises `BlockingIOError` where another one is at work.
        """
        return exclusive_lock(self._deployment_lock, wait=wait)

    def last_deployment_ns(self) -> int:
        """When the deployment lock was last taken, on the clock of the file system."""
        return self._deployment_lock.stat().st_mtime_ns

    @property
    def _deployment_lock(self) -> Path:
        return self.state / "deployment.lock"

    def live_lock(self, name: str) -> AbstractContextManager[None]:
        """Held from writing or reading a model's live configuration until a server has loaded it.

        A deployment holds it for one model at a time, and never while it tries a candidate.
        """
        return exclusive_lock(self.state / "live" / f"{name}.lock")


def check_model_name(name: str) -> str:
    """`name`, if it can name a model directory. Raises `UsageError`.

    A leading digit is refused because Triton takes such a directory for a version, and a path
    separator because a model lies directly in its repository.
    """
    if not _MODEL_NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot name a model; use letters, digits, '_', '-' and '.', at most 128, "
            "beginning with a letter or '_'"
        )
    return name


def _inspect(path: Path, number: int) -> Version:
    if number > _HIGHEST_VERSION:
        return Version(number, path, None, "is a number of more than 64 bits; remove it")
    try:
        manifest = Manifest.read(path)
    except TrimaranError as error:
        return Version(number, path, None, str(error).removeprefix(f"{path}: "))
    return Version(number, path, manifest, manifest.damage(path))


Place = str | Path | Repository


def opened_at(place: Place) -> Repository:
    """The repository there. Raises `TrimaranError` where there is none."""
    return place if isinstance(place, Repository) else Repository.open(Path(place))


def made_at(place: Place) -> Repository:
    """The repository there, made if it is missing. Raises `TrimaranError`."""
    return place if isinstance(place, Repository) else Repository.create(Path(place))
