"""Which rows of a table a run knows already: those by which it was fitted or chosen, and others."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trimaran.served.dates import days_of
from trimaran.training.tabular.data.sources import Dataset
from trimaran.training.tabular.runs.config import digest_of_frame
from trimaran.training.tabular.runs.trained import TrainedRun

__all__ = ["SeenRows", "seen_rows"]

Flags = npt.NDArray[np.bool_]

_FITTED = ("train", "validation")
_SECOND = 1 / 86_400
"""In days; a run keeps its dates to the second."""


@dataclass(frozen=True)
class SeenRows:
    """What a run knows of each row of a table, `[rows]`."""

    fitted: Flags
    """The run was fitted to the row, or chosen by it."""
    known: Flags
    """Or tested on it."""
    told_by: str
    """How they are told; empty where nothing tells, and no row counts as known."""


def seen_rows(run: TrainedRun, dataset: Dataset) -> SeenRows:
    """The rows of `dataset` that a run knows: by their places, their dates or their identifiers.

    The very table of the run is known by its rows' places. In another one, a row is known that is
    no newer than the run's parts, where those were split by time, and whose identifier is among
    theirs, where rows have any.
    """
    schema, frame = dataset.schema, dataset.frame
    rows = list(csv.DictReader(io.StringIO(run.text("predictions.csv"))))
    if digest_of_frame(frame) == run.entry("config.json", "data")["digest"]:
        parts = np.array([row["part"] for row in rows])
        return SeenRows(np.isin(parts, _FITTED), parts != "", "their places in the same table")
    fitted, known = np.ones((2, len(frame)), bool)
    told_by = []
    split = run.split_by_time()
    if split and split.get("column") in frame.columns:
        days = frame[split["column"]].to_numpy(np.float64)
        fitted = fitted & (days <= _until(split, "validation"))
        known = known & (days <= _until(split, "test"))
        told_by.append(f"the dates of {split['column']}")
    if schema.identifier is not None:
        names = frame[schema.identifier]
        of_run = {row["identifier"]: row["part"] for row in rows if row["identifier"]}
        if of_run and names.notna().any():
            found = np.array([of_run.get(name, "") for name in names])
            fitted, known = fitted & np.isin(found, _FITTED), known & (found != "")
            told_by.append(f"their {schema.identifier}")
    if not told_by:
        return SeenRows(np.zeros(len(frame), bool), np.zeros(len(frame), bool), "")
    return SeenRows(fitted, known, " and ".join(told_by))


def _until(split: Mapping[str, Mapping[str, str]], part: str) -> float:
    return days_of(split[part]["to"]) + _SECOND
