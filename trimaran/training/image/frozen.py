"""A finished run of photographs applied to other ones: nothing is fitted or chosen again.

How a photograph is prepared, the network, the classes and the bins of drift are those of the run's
directory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from trimaran.served.distribution import described
from trimaran.stats.intervals import wilson
from trimaran.system.errors import TrimaranError
from trimaran.training.drift import Moved, drift_between
from trimaran.training.image.alike import signature
from trimaran.training.image.fitting import probabilities
from trimaran.training.image.folder import UNKNOWN, list_new, shown
from trimaran.training.image.photographs import Photographs, Seen, read_all, some
from trimaran.training.image.trained import ImageRun
from trimaran.training.progress import Watch
from trimaran.training.tabular.evaluation.multiclass_metrics import (
    MulticlassScores,
    score_classes,
)

__all__ = ["NewPhotographs", "ScoredPhotographs", "new_photographs", "scored_photographs"]


@dataclass(frozen=True)
class NewPhotographs:
    """Photographs that a run did not learn from, as far as is known."""

    data: Photographs
    """Their class is `folder.UNKNOWN` where it is not known, and each is a group of its own."""
    samples: int
    """Training photographs that the run kept."""
    seen: int
    """How many of these are among the new ones."""

    @property
    def known(self) -> npt.NDArray[np.bool_]:
        """Bool `[photographs]`: which have a class."""
        found: npt.NDArray[np.bool_] = self.data.target != UNKNOWN
        return found


@dataclass(frozen=True)
class ScoredPhotographs:
    """What a frozen run says of photographs."""

    probability: npt.NDArray[np.float32]
    """float32 `[photographs, classes]`."""
    scores: MulticlassScores | None
    """Of those whose class is known; None where there are none."""
    interval: tuple[float, float] | None
    """Of the accuracy."""
    drift: Sequence[Moved]
    """The farthest first."""


def new_photographs(run: ImageRun, folder: Path, watch: Watch) -> NewPhotographs:
    """Read the photographs of a folder; those in a sub-folder of a class's name have that class.

    Files that serving would refuse are left out with a note. Raises `UsageError` or `TrimaranError`
    for a folder that `folder.list_new` refuses, or without a photograph that can be read.
    """
    listed = list_new(folder, run.labels())
    seen: dict[int, Seen] = {}
    faults = []
    for row, found in enumerate(read_all(listed, run.settings(), watch)):
        if isinstance(found, Seen):
            seen[row] = found
        else:
            faults.append(f"{shown(listed.files[row][0])} {found}")
    if not seen:
        raise TrimaranError(f"{shown(folder)} has no photograph that can be read: {some(faults)}")
    notes = [f"{len(faults)} of {len(listed.files)} files left out as unusable: {some(faults)}"]
    data = Photographs(
        run.name,
        folder,
        listed.classes,
        tuple(listed.files[row][0] for row in seen),
        np.array([listed.files[row][1] for row in seen], np.int64),
        tuple(each.sha256 for each in seen.values()),
        np.arange(len(seen)),
        np.array([each.measures for each in seen.values()], np.float64),
        tuple(notes) if faults else (),
    )
    kept = {signature(crop).tobytes() for crop in run.samples()}
    new = {each.signature.tobytes() for each in seen.values()}
    return NewPhotographs(data, len(kept), len(kept & new))


def scored_photographs(run: ImageRun, new: NewPhotographs, watch: Watch) -> ScoredPhotographs:
    """Probabilities of new photographs, their scores where classes are known, and their drift."""
    data, known = new.data, new.known
    every = np.arange(len(data.files))
    found = probabilities(run.network(), data, every, watch, "predicting", run.settings())
    scores = interval = None
    if known.any():
        scores = score_classes(data.target[known], found[known], data.classes)
        interval = wilson(round(scores.accuracy * scores.rows), scores.rows)
    drift = sorted(_drift(run, data, found), key=lambda each: -(each.index or 0.0))
    return ScoredPhotographs(found, scores, interval, drift)


def _drift(run: ImageRun, data: Photographs, found: npt.NDArray[np.float32]) -> list[Moved]:
    """Of what is measured of photographs, and of the answers, by the bins that are served."""
    reference, rows = run.reference(), len(found)
    label = reference.answers.of_kind("label")[0]
    codes = label.codes(data.classes)[found.argmax(axis=1)]
    images = described(reference.images, data.measures, np.empty((0, rows), np.int64))
    answers = described(
        reference.answers, np.empty((rows, 0)), codes[np.newaxis], [found.max(axis=1)]
    )
    return [
        *drift_between(reference.images, images),
        *drift_between(reference.answers, answers),
    ]
