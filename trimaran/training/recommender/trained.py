"""A finished run's directory, and how to read it.

| file | holds |
|---|---|
| `config.json` | everything that decided the run |
| `items.txt` | the items' names, one a line, from 1: the same file is served |
| `users.txt`, `history.npy`, `starts.npy` | what each user chose, in all parts: also served |
| `weights.safetensors` | the network's state |
| `samples.npy` | histories, int64 `[rows, length]`, to verify exports with |
| `users.csv` | the metrics of each user of the test part |
| `report.html` | the report |
| `metrics.json` | every metric; written last, so a run that has it is finished |
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from trimaran.served.histories import Histories
from trimaran.training.run_directory import RunDirectory

if TYPE_CHECKING:  # torch takes seconds to import, and publishing an ensemble does not need it
    from trimaran.training.recommender.networks import Recommender

__all__ = ["ITEMS", "RecommenderRun", "recommender_run"]

ITEMS = "items.txt"
"""That only a run of a recommender has."""


class RecommenderRun(RunDirectory):
    """A finished run, by its directory."""

    @property
    def name(self) -> str:
        """What its models are called."""
        return str(self.entry("config.json", "name"))

    @property
    def top(self) -> int:
        """How many items an answer has."""
        return int(self.entry("config.json", "top"))

    def histories(self) -> Histories:
        """What each user chose, in all parts."""
        try:
            return Histories.read(self.directory)
        except (OSError, EOFError, ValueError) as error:
            raise self.unreadable("history.npy", error) from error

    def network(self) -> Recommender:
        """The network with its weights, in eval mode."""
        import safetensors.torch
        from safetensors import SafetensorError

        from trimaran.training.recommender.networks import network_of

        model, width = (self.entry("config.json", name) for name in ("model", "width"))
        try:
            state = safetensors.torch.load((self.directory / "weights.safetensors").read_bytes())
            return network_of(str(model), self.top, int(width), state)
        except (OSError, SafetensorError, KeyError, RuntimeError) as error:
            raise self.unreadable("weights.safetensors", error) from error


def recommender_run(directory: Path) -> RecommenderRun | None:
    """The run in a directory, if it is one of a recommender."""
    return RecommenderRun(directory) if (directory / ITEMS).is_file() else None
