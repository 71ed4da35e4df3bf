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

from pathlib import Path
from typing import TYPE_CHECKING

from trimaran.served.tokens import Encoding
from trimaran.training.run_directory import RunDirectory

if TYPE_CHECKING:  # torch takes seconds to import, and publishing an ensemble does not need it
    from torch import nn

__all__ = ["TextRun", "text_run"]

_OWN_FILE = "encoding.json"
"""That only a run of texts has."""


class TextRun(RunDirectory):
    """A finished run, by its directory."""

    @property
    def name(self) -> str:
        """What its models are called."""
        return str(self.entry("config.json", "name"))

    def encoding(self) -> Encoding:
        """How texts become tokens."""
        return Encoding.from_json(self.text(_OWN_FILE))

    def threshold(self) -> float:
        """The probability from which a text is decided positive."""
        return float(self.entry("decision.json", "threshold"))

    def network(self) -> nn.Module:
        """The network with its weights, in eval mode."""
        import safetensors.torch
        from safetensors import SafetensorError

        from trimaran.training.text.networks import network_of

        try:
            state = safetensors.torch.load((self.directory / "weights.safetensors").read_bytes())
            network = network_of(str(self.entry("config.json", "model")), state)
        except (OSError, SafetensorError, KeyError, RuntimeError) as error:
            raise self.unreadable("weights.safetensors", error) from error
        return network.eval()


def text_run(directory: Path) -> TextRun | None:
    """The run in a directory, if it is one of texts."""
    run = TextRun(directory)
    return run if (directory / _OWN_FILE).is_file() else None
