"""What a family of runs is: how one is read in figures, and how a frozen one predicts new data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from trimaran.rollout.runs.figures import Figures
from trimaran.rollout.runs.readiness import Trial
from trimaran.training.progress import Watch
from trimaran.training.tabular.data.reading import Source
from trimaran.training.tabular.data.sources import Dataset

__all__ = ["Family", "Frozen", "NewData"]


class NewData(Protocol):
    """Data as a frozen run reads them."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left out, a sentence each."""

    @property
    def rows(self) -> Dataset | None:
        """The table, where they are records of one."""

    def page(self) -> str:
        """The data report, as HTML."""

    def predict(self, directory: Path, watch: Watch) -> None:
        """Leave in a directory what the run says of them: see `predicting`."""


class Frozen(Protocol):
    """A trained run in which nothing is fitted or chosen any more."""

    def read(self, source: Source, watch: Watch) -> NewData:
        """Read new data. Raises `TrimaranError` where they do not fit the run."""


@dataclass(frozen=True)
class Family:
    """One kind of data, and of the runs that learn from it."""

    of: str
    """In words, such as `texts`."""
    owns: Callable[[Path], bool]
    """Whether the run in a directory is of this family."""
    figures: Callable[[Path], Figures]
    """Those of the run in a directory. Raises `TrimaranError` where a file is damaged."""
    trial: Callable[[Path], Trial]
    """What is served of the run in a directory."""
    frozen: Callable[[Path], Frozen] | None
    """The run in a directory as one that predicts; None where it does not."""
    instead: str = ""
    """Why it does not, as a clause."""
