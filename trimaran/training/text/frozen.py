"""A finished run of texts applied to other ones: nothing is fitted or chosen again.

The tokenizer, the network, the threshold and the names of both classes are those of the run's
directory. Drift is measured from what the run kept: the lengths of its samples, and its answers to
the texts of the validation and test parts.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from trimaran.served.distribution import Feature, Reference, described, number_edges
from trimaran.served.refusal import RefusedError
from trimaran.served.texts import read_text
from trimaran.served.tokens import PADDING
from trimaran.system.csv_table import read_csv
from trimaran.system.errors import TrimaranError
from trimaran.training.drift import Moved, drift_between
from trimaran.training.progress import Watch
from trimaran.training.tabular.evaluation.metrics import Scores, f1_interval, score
from trimaran.training.text.data import FOOD_REVIEWS, Flags, Rows, food_reviews
from trimaran.training.text.networks import probabilities
from trimaran.training.text.trained import TextRun

__all__ = ["NewTexts", "ScoredTexts", "new_texts", "scored_texts"]

_TENTHS = tuple(tenth / 10 for tenth in range(1, 10))
_NAMED = 3

Probabilities = npt.NDArray[np.float32]


@dataclass(frozen=True)
class NewTexts:
    """Texts that a run did not learn from, as far as is known; equal ones may be among them."""

    source: str
    """Where they are from, for people."""
    total: int
    """The rows of the table."""
    rows: Rows
    """int64 `[texts]`: the number of each text's row, from 0. Those that serving refuses lack."""
    texts: tuple[str, ...]
    known: Flags
    """Bool `[texts]`: which have a class."""
    target: Flags
    """Bool `[texts]`: whether the class is the positive one, where it is known."""


@dataclass(frozen=True)
class ScoredTexts:
    """What a frozen run says of texts."""

    probability: Probabilities
    """Of the positive class, float32 `[texts]`."""
    scores: Scores | None
    """Of those whose class is known; None where they are not of both classes."""
    interval: tuple[float, float] | None
    """Of F1."""
    drift: Sequence[Moved]
    """The farthest first."""
    samples: int
    """Training texts that the run kept."""
    seen: int
    """How many of these are among the new texts."""


def new_texts(run: TextRun, place: str) -> NewTexts:
    """The texts of a CSV file, or of the public table, in the columns that the run learnt from.

    The column of classes may be missing, or empty in some rows. Raises `TrimaranError` for a file
    without the column of texts or without a text, and for a class that the run does not know.
    """
    if place == FOOD_REVIEWS:
        data = food_reviews()
        every = np.ones(len(data.texts), np.bool_)
        rows = np.arange(len(data.texts))
        return NewTexts(data.source, len(rows), rows, data.texts, every, data.target)
    if not Path(place).is_file():
        raise TrimaranError(
            f"{place} is not a file; {run.name} predicts the texts of a CSV file, with the column "
            f"{_column(run, 'text')!r}"
        )
    frame = read_csv(Path(place))
    column = _column(run, "text")
    if column not in frame.columns:
        listed = ", ".join(map(str, frame.columns))
        raise TrimaranError(
            f"{place} has no column {column!r}, in which {run.name} learnt its texts; its columns "
            f"are {listed}"
        )
    read: dict[int, str] = {}
    for row, cell in enumerate(frame[column]):
        try:
            read[row] = read_text(str(cell).encode(errors="surrogatepass"))
        except RefusedError:
            continue
    if not read:
        raise TrimaranError(f"{place} has no text that can be read in the column {column!r}")
    target = _column(run, "target")
    cells = frame[target] if target in frame.columns else [""] * len(frame)
    classes = [str(cell).strip() for cell in cells]
    positive, negative = (str(run.entry("decision.json", key)) for key in ("positive", "negative"))
    _require_known(classes, (positive, negative), f"{place}: the column {target!r}", run.name)
    found = [classes[row] for row in read]
    return NewTexts(
        place,
        len(frame),
        np.array(list(read), np.int64),
        tuple(read.values()),
        np.array([each != "" for each in found], np.bool_),
        np.array([each == positive for each in found], np.bool_),
    )


def scored_texts(run: TextRun, new: NewTexts, watch: Watch) -> ScoredTexts:
    """Probabilities of new texts, their scores where classes are known, and their drift."""
    encoding = run.encoding()
    tokens = [row for row, _ in encoding.tokenizer(run.text("vocabulary.json")).encode(new.texts)]
    probability = probabilities(run.network(), encoding, tokens, partial(watch, "predicting"))
    threshold, scores, interval = run.threshold(), None, None
    target = new.target[new.known]
    if target.any() and not target.all():
        scores = score(target, probability[new.known], threshold)
        interval = f1_interval(scores.confusion, 0)
    kept = [tuple(row[row != PADDING].tolist()) for row in run.samples()]
    drift = [
        *_drift_of_lengths(list(map(len, kept)), list(map(len, tokens))),
        *_drift_of_answers(run, probability, threshold),
    ]
    drift.sort(key=lambda each: -(each.index or 0.0))
    samples = set(kept) - {()}  # a text without a known word has no token
    seen = len(samples & set(map(tuple, tokens)))
    return ScoredTexts(probability, scores, interval, drift, len(samples), seen)


def _column(run: TextRun, which: str) -> str:
    try:
        return str(run.entry("config.json", "columns")[which])
    except (KeyError, TypeError) as error:
        raise run.unreadable("config.json", error) from error


def _require_known(classes: Sequence[str], known: tuple[str, str], where: str, name: str) -> None:
    others = sorted({*classes} - {*known, ""})
    if others:
        few = ", ".join(map(repr, others[:_NAMED]))
        raise TrimaranError(
            f"{where} holds {few}, and {name} knows the classes {known[0]} and {known[1]}; correct "
            "them, or leave them empty"
        )


def _drift_of_lengths(before: Sequence[int], now: Sequence[int]) -> list[Moved]:
    lengths = np.array(before, float)
    bins = Reference([Feature("tokens", "measure", (), number_edges(lengths).tolist())])
    expected, found = (
        _counted(bins, np.array(each, float)[:, np.newaxis]) for each in (before, now)
    )
    return drift_between(expected, found)


def _drift_of_answers(run: TextRun, now: Probabilities, threshold: float) -> list[Moved]:
    names = [str(run.entry("decision.json", key)) for key in ("negative", "positive")]
    bins = Reference(
        [
            Feature("probability", "answer", (), _TENTHS),
            Feature("class", "answer", (), (0.5,), names),
        ]
    )
    rows = csv.DictReader(io.StringIO(run.text("predictions.csv")))
    before = np.array([float(row["probability"]) for row in rows], np.float32)
    expected, found = (
        _counted(bins, np.empty((len(each), 0)), (each, each >= np.float32(threshold)))
        for each in (before, now)
    )
    return drift_between(expected, found)


def _counted(
    bins: Reference,
    numbers: npt.NDArray[np.float64],
    answers: Sequence[npt.NDArray[np.generic]] = (),
) -> Reference:
    return described(bins, numbers, np.empty((0, len(numbers)), np.int64), answers)
