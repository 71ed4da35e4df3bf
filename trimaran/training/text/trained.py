"""A finished run's directory, and how to read it.

| file | holds |
|---|---|
| `config.json` | everything that decided the run |
| `encoding.json`, `vocabulary.json` | how a text becomes tokens: the same files are served |
| `decision.json` | the threshold, and the names of both classes: the same file is served |
| `weights.safetensors` | the network's state |
| `samples.npy` | tokens of training texts, int64 `[rows, length]`, to verify exports with |
| `predictions.csv` | part, target and probability of each text of the validation and test parts |
| `report.html` | the report |
| `metrics.json` | every metric; written last, so a run that has it is finished |
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from trimaran.served.tokens import Encoding
from trimaran.system.errors import TrimaranError

if TYPE_CHECKING:  # torch takes seconds to import, and publishing an ensemble does not need it
    from torch import nn

__all__ = ["TextRun", "text_run"]

_OWN_FILE = "encoding.json"
"""That only a run of texts has."""


@dataclass(frozen=True)
class TextRun:
    """A run's directory. Its readers raise `TrimaranError` for a missing or damaged file."""

    directory: Path

    @property
    def is_finished(self) -> bool:
        """Whether all its files exist."""
        return (self.directory / "metrics.json").is_file()

    @property
    def name(self) -> str:
        """What its models are called."""
        return str(self._entry("config.json", "name"))

    def config(self) -> dict[str, Any]:
        """Everything that decided the run."""
        return self._json("config.json")

    def metrics(self) -> dict[str, Any]:
        """Threshold, scores and baselines."""
        return self._json("metrics.json")

    def encoding(self) -> Encoding:
        """How texts become tokens."""
        return Encoding.from_json(self.text(_OWN_FILE))

    def threshold(self) -> float:
        """The probability from which a text is decided positive."""
        return float(self._entry("decision.json", "threshold"))

    def samples(self) -> npt.NDArray[np.int64]:
        """Tokens of training texts, int64 `[rows, length]`, padded to the longest length."""
        path = self.directory / "samples.npy"
        try:
            found: npt.NDArray[np.int64] = np.load(path, allow_pickle=False)
        except (OSError, EOFError, ValueError) as error:
            raise self._unreadable(path.name, error) from error
        return found

    def network(self) -> nn.Module:
        """The network with its weights, in eval mode."""
        import safetensors.torch
        from safetensors import SafetensorError

        from trimaran.training.text.networks import network_of

        try:
            state = safetensors.torch.load((self.directory / "weights.safetensors").read_bytes())
            network = network_of(str(self._entry("config.json", "model")), state)
        except (OSError, SafetensorError, KeyError, RuntimeError) as error:
            raise self._unreadable("weights.safetensors", error) from error
        return network.eval()

    def text(self, name: str) -> str:
        """The content of one of its files."""
        try:
            return (self.directory / name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise self._unreadable(name, error) from error

    def _entry(self, name: str, key: str) -> Any:
        try:
            return self._json(name)[key]
        except KeyError as error:
            raise self._unreadable(name, error) from error

    def _json(self, name: str) -> dict[str, Any]:
        try:
            found = json.loads(self.text(name))
        except ValueError as error:
            raise self._unreadable(name, error) from error
        if not isinstance(found, dict):
            raise self._unreadable(name, TypeError("not an object"))
        return found

    def _unreadable(self, name: str, error: Exception) -> TrimaranError:
        return TrimaranError(
            f"{self.directory / name} cannot be used ({type(error).__name__}); delete "
            f"{self.directory} and train it again"
        )


def text_run(directory: Path) -> TextRun | None:
    """The run in a directory, if it is one of texts."""
    run = TextRun(directory)
    return run if (directory / _OWN_FILE).is_file() else None
