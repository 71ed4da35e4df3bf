"""Texts within a record: which numbers a model gets of them.

Each of a text's known words and pairs of neighbours is a column: how often the text has it, times a
weight that is larger for rarer terms, and all columns of a text together have the length 1 (TF-IDF
as in scikit-learn). A missing text, and one without a known term, is 0 in every column.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trimaran.served.tokens import terms

__all__ = ["MOST_CHARACTERS", "Text", "Texts"]

Floats = npt.NDArray[np.float64]

MOST_CHARACTERS = 100_000
"""Of one text."""


@dataclass(frozen=True)
class Text:
    """The columns that a text field becomes, `<name>~<term>`."""

    name: str
    terms: Sequence[str]
    weights: Sequence[float]
    """Of each term."""

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return [f"{self.name}~{term}" for term in self.terms]

    @property
    def counted(self) -> str:
        """The name of what is counted: how many words a text has, missing ones apart."""
        return f"{self.name}_words"


class Texts:
    """Makes columns of text fields, each given as its rows' texts, None where missing."""

    def __init__(self, texts: Sequence[Text]) -> None:
        self._known = [
            {term: (place, weight) for place, (term, weight) in enumerate(pairs)}
            for pairs in (zip(text.terms, text.weights, strict=True) for text in texts)
        ]

    def columns(self, texts: Sequence[Sequence[str | None]]) -> list[Floats]:
        """For each field, `[rows, columns]`."""
        return [_weighed(column, known) for column, known in zip(texts, self._known, strict=True)]

    @staticmethod
    def counted(texts: Sequence[Sequence[str | None]]) -> list[Floats]:
        """For each field, how many words each row's text has, `[rows]`; NaN where it is missing."""
        return [
            np.array([math.nan if text is None else len(text.split()) for text in column])
            for column in texts
        ]


def _weighed(column: Sequence[str | None], known: dict[str, tuple[int, float]]) -> Floats:
    matrix = np.zeros((len(column), len(known)))
    for row, text in enumerate(column):
        for term in terms(text or ""):
            if term in known:
                place, weight = known[term]
                matrix[row, place] += weight
        length = math.sqrt(float(matrix[row] @ matrix[row]))
        if length:
            matrix[row] /= length
    return matrix
