"""How values are distributed over bins: what training saw is the reference for what is served.

A reference is one JSON file. Each of its features has bins, with the rows of the training part
that fell into each; rows that are served are counted by the same bins.

| feature | bins |
|---|---|
| number | between the edges, bin i holding `edges[i - 1] <= x < edges[i]`; `missing` |
| category | each value of the vocabulary; `missing`; `unknown` |
| answer | a probability, or a decision as 0 or 1, between the edges |

Self-contained: this file is copied into the versions of the models that count.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Feature", "Reference", "Tally", "count_category", "count_number"]

FORMAT = 1
Counts = npt.NDArray[np.int64]
_Kept = tuple[npt.NDArray[np.float64], npt.NDArray[np.int64], Sequence[npt.NDArray[Any]]]


@dataclass(frozen=True)
class Feature:
    """A feature's bins, and how many training rows fell into each."""

    name: str
    kind: str
    """`number`, `category` or `answer`."""
    counts: Sequence[int]
    edges: Sequence[float] = ()
    values: Sequence[str] = ()

    @property
    def bins(self) -> list[str]:
        """The bins' names, in the order of `counts`."""
        if self.kind == "category":
            return [*self.values, "missing", "unknown"]
        shown = [f"{edge:g}" for edge in self.edges]
        if not shown:
            between = ["any"]
        else:
            inner = [f"{low} to {high}" for low, high in pairwise(shown)]
            between = [f"below {shown[0]}", *inner, f"from {shown[-1]}"]
        return between if self.kind == "answer" else [*between, "missing"]

    @property
    def rows(self) -> int:
        """How many training rows there were."""
        return sum(self.counts)


@dataclass(frozen=True)
class Reference:
    """What training saw: the numbers, then the categories, in the transform's order, then answers.

    `judged` is how the model's decisions compare with the truth on rows it never saw:
    `true_positive`, `false_positive`, `true_negative`, `false_negative`.
    """

    features: Sequence[Feature]
    judged: dict[str, int]

    def of_kind(self, kind: str) -> list[Feature]:
        """The features of a kind, in order."""
        return [feature for feature in self.features if feature.kind == kind]

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


def count_number(
    values: npt.NDArray[np.floating[Any]], edges: npt.NDArray[np.float64], missing: bool = True
) -> Counts:
    """How many of `values` `[rows]` are in each bin; NaN is missing, in the last one."""
    present = values[~np.isnan(values)]
    counts = np.bincount(
        np.searchsorted(edges, present, side="right"), minlength=len(edges) + 1
    ).astype(np.int64)
    return np.append(counts, len(values) - len(present)) if missing else counts


def count_category(codes: npt.NDArray[np.int64], vocabulary: int) -> Counts:
    """How many of `codes` `[rows]` are each value, missing, or unknown: see `Transform.encode`."""
    return np.bincount(codes, minlength=vocabulary + 2).astype(np.int64)


class Tally:
    """Counts rows by the bins of a reference, many at once.

    Rows are kept as they came until `counted` is asked, since counting them one by one would cost
    more than answering them.
    """

    def __init__(self, reference: Reference) -> None:
        self._numbers = [np.array(f.edges) for f in reference.of_kind("number")]
        self._vocabularies = [len(f.values) for f in reference.of_kind("category")]
        self._answers = [np.array(f.edges) for f in reference.of_kind("answer")]
        self._kept: deque[_Kept] = deque()

    def add(
        self,
        numbers: npt.NDArray[np.float64],
        codes: npt.NDArray[np.int64],
        answers: Sequence[npt.NDArray[Any]] = (),
    ) -> None:
        """Keep a table's numbers `[rows, fields]`, codes `[fields, rows]`, and its answers.

        Those are an array of `rows` values for each answer of the reference, or none at all.
        """
        self._kept.append((numbers, codes, answers))

    def counted(self) -> list[Counts | None]:
        """The counts of what was kept, by the reference's order of features; nothing is kept on.

        None for an answer that the rows did not have.
        """
        # Another thread may add meanwhile: what it adds stays for the next time.
        kept = [self._kept.popleft() for _ in range(len(self._kept))]
        if not kept:
            return [None] * (len(self._numbers) + len(self._vocabularies) + len(self._answers))
        numbers = np.concatenate([each[0] for each in kept])
        codes = np.concatenate([each[1] for each in kept], axis=1)
        found: list[Counts | None] = [
            count_number(numbers[:, place], edges) for place, edges in enumerate(self._numbers)
        ]
        found += [
            count_category(codes[place], size) for place, size in enumerate(self._vocabularies)
        ]
        for place, edges in enumerate(self._answers):
            answers = [each[2][place].reshape(-1) for each in kept if each[2]]
            values = np.concatenate(answers).astype(np.float64) if answers else None
            found.append(None if values is None else count_number(values, edges, missing=False))
        return found
