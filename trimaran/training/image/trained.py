"""A finished run's directory, and how to read it.

| file | holds |
|---|---|
| `config.json` | everything that decided the run |
| `preprocess.json` | how a photograph becomes the network's input: the same file is served |
| `labels.txt` | the names of the classes, a line each: the same file is served |
| `reference_images.json`, `reference_answers.json` | the bins that drift is measured in |
| `weights.safetensors` | the network's state |
| `samples.npy` | crops of training photographs, uint8 `[rows, size, size, 3]`, to verify exports |
| `predictions.csv` | part, class and probabilities of each photograph that was held out |
| `report.html` | the report |
| `metrics.json` | every metric; written last, so a run that has it is finished |
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from trimaran.served.decoding import ImageSettings
from trimaran.served.distribution import Reference
from trimaran.served.judging import class_totals
from trimaran.training.image_reference import ImageReference
from trimaran.training.run_directory import RunDirectory

if TYPE_CHECKING:  # torch takes seconds to import, and publishing an ensemble does not need it
    from torch import nn

__all__ = ["ImageRun", "image_run"]

_OWN_FILE = "preprocess.json"
"""That only a run of photographs has."""


class ImageRun(RunDirectory):
    """A finished run, by its directory."""

    @property
    def name(self) -> str:
        """What its models are called."""
        return str(self.entry("config.json", "name"))

    def labels(self) -> list[str]:
        """The names of the classes, in the order of the network's logits."""
        return self.text("labels.txt").removesuffix("\n").split("\n")

    def settings(self) -> ImageSettings:
        """How photographs are prepared."""
        try:
            return ImageSettings(**self.json(_OWN_FILE))
        except TypeError as error:
            raise self.unreadable(_OWN_FILE, error) from error

    def reference(self) -> ImageReference:
        """The bins that served photographs and answers are counted in."""
        texts = (self.text(f"reference_{each}.json") for each in ("images", "answers"))
        try:
            return ImageReference(*map(Reference.from_json, texts))
        except (KeyError, TypeError, ValueError) as error:
            raise self.unreadable("reference_images.json", error) from error

    def judged(self) -> dict[str, float]:
        """The test part's totals by cell: see `trimaran/served/judging.py`."""
        return class_totals(self.labels(), self.entry("metrics.json", "test")["confusion"])

    def network(self) -> nn.Module:
        """The network with its weights, in eval mode."""
        import safetensors.torch
        from safetensors import SafetensorError

        from trimaran.training.efficientnet_lite0 import EfficientNetLite0

        try:
            state = safetensors.torch.load((self.directory / "weights.safetensors").read_bytes())
            network = EfficientNetLite0(len(self.labels()))
            network.load_state_dict(state)
        except (OSError, SafetensorError, RuntimeError) as error:
            raise self.unreadable("weights.safetensors", error) from error
        return network.eval()


def image_run(directory: Path) -> ImageRun | None:
    """The run in a directory, if it is one of photographs."""
    return ImageRun(directory) if (directory / _OWN_FILE).is_file() else None
