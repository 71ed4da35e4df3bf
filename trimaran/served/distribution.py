"""How values are distributed over bins: the values that a model should see, and those it sees.

A reference is one JSON file. It holds bins for each feature, and how many rows of the training part
(or how many expected images) fell into each bin. Served rows are counted by the same bins. A
reference may also hold bins without counts.

| feature | bins |
|---|---|
| number | between the edges, bin i holding `edges[i - 1] <= x < edges[i]`; `missing` |
| category | each value of the vocabulary; `missing`; `unknown` |
| measure | between the edges; never missing, such as an image's brightness |
| label | a class: each of `values`, and `other`; without values its number, between the edges |
| answer | a number or a decision as 0 or 1, between the edges, which may have names, `values` |
"""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["OTHER", "Feature", "Reference", "Tally", "described", "number_edges"]

FORMAT = 1
OTHER = "other"
"""The bin of the classes that have none of their own."""
_MOST_ROWS = 512
_BINS = 10
"""For each number feature."""
_DIGITS = 4
Counts = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int64]
_Kept = tuple[npt.NDArray[np.float64], Codes, Sequence[npt.NDArray[Any]]]


@dataclass(frozen=True)
class Feature:
    """A feature's bins, and how many rows of the reference fell into each, if it has rows."""

    name: str
    kind: str
    """`number`, `category`, `measure`, `label` or `answer`."""
    counts: Sequence[int]
    edges: Sequence[float] = ()
    values: Sequence[str] = ()

    @property
    def bins(self) -> list[str]:
        """The bins' names, in the order of `counts`."""
        if self.kind == "category":
            return [*self.values, "missing", "unknown"]
        if self.kind == "label" and self.values:
            return [*self.values, OTHER]
        if self.kind == "answer" and self.values:
            return list(self.values)
        shown = [f"{edge:g}" for edge in self.edges]
        if not shown:
            between = ["any"]
        else:
            inner = [f"{low} to {high}" for low, high in pairwise(shown)]
            between = [f"below {shown[0]}", *inner, f"from {shown[-1]}"]
        return [*between, "missing"] if self.kind == "number" else between

    @property
    def rows(self) -> int:
        """The number of the reference's rows."""
        return sum(self.counts)

    def codes(self, labels: Sequence[str]) -> Codes:
        """The bin of each class of a `label`, by the classes' names in order: int64 `[classes]`."""
        if not self.values:
            return np.searchsorted(self.edges, np.arange(len(labels)), side="right")
        places = {value: place for place, value in enumerate(self.values)}
        return np.array([places.get(label, len(places)) for label in labels], np.int64)


@dataclass(frozen=True)
class Reference:
    """The expected distribution: numbers or measures, then categories or labels, then answers.

    Numbers and categories are in the transform's order. `judged` has
    the totals of the test part, as `trimaran.served.judging` has those of known outcomes; or it is
    empty.
    """

    features: Sequence[Feature]
    judged: dict[str, float] = field(default_factory=dict)

    def of_kind(self, *kinds: str) -> list[Feature]:
        """The features of some kinds, in order."""
        return [feature for feature in self.features if feature.kind in kinds]

    def to_json(self) -> str:
        """The file's text."""
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=1, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Reference:
        """Read a file's text. Raises `ValueError` for another format."""
        data: dict[str, Any] = json.loads(text)
        found = data.pop("format", None)
        if found != FORMAT:
            raise ValueError(f"the reference has format {found}; this code reads {FORMAT}")
        return cls([Feature(**feature) for feature in data["features"]], data["judged"])

    @classmethod
    def read(cls, path: Path) -> Reference:
        """Read a reference from its file."""
        return cls.from_json(path.read_text(encoding="utf-8"))


class Tally:
    """Counts rows by the bins of a reference, many at once; threads may share it.

    Rows are collected until there are many, since counting each one alone would cost nearly as
    much as answering it. They are not kept longer, since the next rows then could not reuse their
    memory while it is still in the processor's cache.
    """

    def __init__(self, reference: Reference) -> None:
        sizes = [len(feature.bins) for feature in reference.features]
        starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        numbers = reference.of_kind("number", "measure")
        categories = reference.of_kind("category", "label")
        self._edges = _edges(numbers)
        self._answers = [_edges([feature]) for feature in reference.of_kind("answer")]
        self._starts = starts[: len(numbers), np.newaxis]
        self._missing = starts[1 : len(numbers) + 1, np.newaxis] - 1
        self._code_starts = starts[len(numbers) : len(numbers) + len(categories), np.newaxis]
        self._answer_starts = starts[len(numbers) + len(categories) :]
        self._counts = np.zeros(starts[-1], np.int64)
        self._kept: list[_Kept] = []
        self._rows = 0
        self._lock = threading.Lock()

    def add(
        self,
        numbers: npt.NDArray[np.float64],
        codes: Codes,
        answers: Sequence[npt.NDArray[Any]] = (),
    ) -> None:
        """Count a table's numbers `[rows, fields]`, codes `[fields, rows]`, and its answers.

        A code is the place of a value's bin: see `Transform.encode` and `Feature.codes`. Answers
        are an array of `rows` values for each answer of the reference, or none at all.
        """
        with self._lock:
            self._kept.append((numbers, codes, answers))
            self._rows += len(numbers)
            if self._rows >= _MOST_ROWS:
                self._count()

    def counted(self) -> Counts:
        """The counts of all bins of all features, in the reference's order. Resets them to 0."""
        with self._lock:
            self._count()
            counts, self._counts = self._counts, np.zeros_like(self._counts)
        return counts

    def _count(self) -> None:
        if not self._kept:
            return
        numbers = np.ascontiguousarray(np.concatenate([each[0] for each in self._kept]).T)
        places = _bins(numbers, self._edges) + self._starts
        np.copyto(places, self._missing, where=np.isnan(numbers))
        codes = np.concatenate([each[1] for each in self._kept], axis=1)
        found = [places.ravel(), (codes + self._code_starts).ravel()]
        for answer, edges in enumerate(self._answers):
            given = [each[2][answer] for each in self._kept if each[2]]
            if given:
                values = np.concatenate(given).reshape(1, -1)
                found.append(_bins(values, edges)[0] + self._answer_starts[answer])
        self._counts += np.bincount(np.concatenate(found), minlength=len(self._counts))
        self._kept.clear()
        self._rows = 0


def number_edges(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The deciles of `values` `[rows]` without NaN; fewer where values are few.

    They are rounded, so that no two bins have the same name; none is at or below the least value.
    """
    present = values[~np.isnan(values)]
    if not len(present):
        return np.array([])
    tenths = np.quantile(present, np.arange(1, _BINS) / _BINS)
    rounded = np.unique([float(f"{edge:.{_DIGITS}g}") for edge in tenths])
    return rounded[rounded > present.min()]


def described(
    bins: Reference,
    numbers: npt.NDArray[np.float64],
    codes: Codes,
    answers: Sequence[npt.NDArray[Any]] = (),
) -> Reference:
    """`bins` with the counts of a table's rows, counted as in serving: see `Tally.add`."""
    tally = Tally(bins)
    tally.add(numbers, codes, answers)
    ends = np.cumsum([len(feature.bins) for feature in bins.features])[:-1]
    counts = np.split(tally.counted(), ends)
    features = [
        replace(feature, counts=each.tolist())
        for feature, each in zip(bins.features, counts, strict=True)
    ]
    return replace(bins, features=features)


def _edges(features: Sequence[Feature]) -> npt.NDArray[np.float64]:
    """The features' edges `[edges, features, 1]`, those that one has fewer of being NaN."""
    most = max((len(feature.edges) for feature in features), default=0)
    filled = [[*feature.edges, *[np.nan] * (most - len(feature.edges))] for feature in features]
    return np.array(filled, np.float64).reshape(len(features), most).T[:, :, np.newaxis]


def _bins(values: npt.NDArray[Any], edges: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """How many of its feature's edges each of the values `[features, rows]` has reached.

    For the ten edges that a feature has, comparing all is faster than a search for each value.
    """
    reached = np.zeros(values.shape, np.uint16)
    for edge in edges:
        reached += values >= edge
    return reached.astype(np.int64)
