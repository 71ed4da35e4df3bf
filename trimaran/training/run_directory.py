"""What every run's directory has, whatever was trained, and how its files are read."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from trimaran.system.errors import TrimaranError

__all__ = ["RunDirectory"]


@dataclass(frozen=True)
class RunDirectory:
    """A run's directory. Its readers raise `TrimaranError` for a missing or damaged file."""

    directory: Path

    @property
    def is_finished(self) -> bool:
        """Whether all its files exist; `metrics.json` is written last."""
        return (self.directory / "metrics.json").is_file()

    def config(self) -> dict[str, Any]:
        """Everything that decided the run."""
        return self.json("config.json")

    def metrics(self) -> dict[str, Any]:
        """Scores, baselines, and what was chosen."""
        return self.json("metrics.json")

    def samples(self) -> npt.NDArray[Any]:
        """What the network takes of training rows, `[rows, columns]`, to verify exports with."""
        path = self.directory / "samples.npy"
        try:
            found: npt.NDArray[Any] = np.load(path, allow_pickle=False)
        except (OSError, EOFError, ValueError) as error:
            raise self.unreadable(path.name, error) from error
        return found

    def text(self, name: str) -> str:
        """The content of one of its files."""
        try:
            return (self.directory / name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise self.unreadable(name, error) from error

    def json(self, name: str) -> dict[str, Any]:
        """The object in one of its files."""
        try:
            found = json.loads(self.text(name))
        except ValueError as error:
            raise self.unreadable(name, error) from error
        if not isinstance(found, dict):
            raise self.unreadable(name, TypeError("not an object"))
        return found

    def entry(self, name: str, key: str) -> Any:
        """A value of the object in one of its files."""
        try:
            return self.json(name)[key]
        except KeyError as error:
            raise self.unreadable(name, error) from error

    def unreadable(self, name: str, error: Exception) -> TrimaranError:
        """What to raise where a file cannot be used."""
        return TrimaranError(
            f"{self.directory / name} cannot be used ({type(error).__name__}); delete "
            f"{self.directory} and train it again"
        )
