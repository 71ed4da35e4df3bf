"""The predictions that a run left, one a row of its data, as a database keeps them."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trimaran.training.run_directory import RunDirectory

__all__ = ["Prediction", "prediction_of", "predictions_in"]

FILE = "predictions.csv"
_OF = "probability of "
_OF_IMAGE = ("file", "part", "class")


@dataclass(frozen=True)
class Prediction:
    """What a run says of one row."""

    row: int
    """From 0."""
    identifier: str | None
    part: str | None
    """`train`, `validation` or `test`; `new` where no outcome is known."""
    answer: str
    """Of a yes-or-no question `true` or `false`, a class, or a number."""
    score: float
    """The probability of yes, that of the class that is the answer, or the number."""
    probabilities: str | None
    """Of each class, as a JSON object."""
    outcome: str | None
    """What was true, where it is known."""


def predictions_in(directory: Path) -> Iterator[Prediction]:
    """The predictions of a run by its directory; rows without one are left out.

    None where the run kept none. Raises `TrimaranError` for a damaged file.
    """
    run = RunDirectory(directory)
    if not (directory / FILE).is_file():
        return
    threshold = float(run.metrics().get("threshold", 0.5))
    try:
        for number, row in enumerate(csv.DictReader(io.StringIO(run.text(FILE)))):
            found = prediction_of(number, row, threshold)
            if found is not None:
                yield found
    except (ValueError, KeyError, TypeError, csv.Error) as error:
        raise run.unreadable(FILE, error) from error


def prediction_of(number: int, row: Mapping[str, str], threshold: float) -> Prediction | None:
    """A row of `predictions.csv`; None where nothing was predicted.

    Raises `ValueError` or `KeyError` for one that cannot be.
    """
    identifier = row.get("identifier") or row.get("file") or row.get("row") or None
    about = (number, identifier, row.get("part") or None)
    outcome = row.get("target") or row.get("class") or None
    if "probability" in row:
        probability = float(row["probability"])
        if math.isnan(probability):
            return None
        answer = _truth(bool(np.float32(probability) >= np.float32(threshold)))
        known = None if outcome is None else _truth(outcome == "1")
        return Prediction(*about, answer, probability, None, known)
    if "value" in row:
        value = float(row["value"])
        return None if math.isnan(value) else Prediction(*about, row["value"], value, None, outcome)
    classes = {
        name.removeprefix(_OF): float(value)
        for name, value in row.items()
        if name.startswith(_OF) or ("file" in row and name not in _OF_IMAGE)
    }
    if any(map(math.isnan, classes.values())):
        return None
    answer = row.get("prediction") or max(classes, key=lambda name: classes[name])
    return Prediction(*about, answer, classes[answer], json.dumps(classes), outcome)


def _truth(value: bool) -> str:
    return "true" if value else "false"
