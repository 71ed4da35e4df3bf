"""Fitting texts: which terms become columns, and how much each weighs."""

from __future__ import annotations

from sklearn.feature_extraction.text import TfidfVectorizer

from trimaran.served.records import Table
from trimaran.served.tokens import terms
from trimaran.served.words import Text
from trimaran.training.tabular.data.schema import Schema

__all__ = ["MOST_TERMS", "fit_texts"]

MOST_TERMS = 200
"""The most frequent words and pairs of words: each is a column that a network learns."""
_LEAST_ROWS = 5
_MOST_SHARE = 0.5


def fit_texts(schema: Schema, table: Table) -> tuple[Text, ...]:
    """The terms of each text field, of the rows of a training part.

    A term is in 5 rows or more, and in no more than half of the texts: what nearly every text has
    tells none from another.
    """
    return tuple(
        _fitted(field.name, [text for text in column if text is not None])
        for field, column in zip(schema.texts, table.texts, strict=True)
    )


def _fitted(name: str, texts: list[str]) -> Text:
    found = TfidfVectorizer(
        analyzer=_terms, max_features=MOST_TERMS, min_df=_LEAST_ROWS, max_df=_MOST_SHARE
    )
    try:
        found.fit(texts)
    except ValueError:  # no term is frequent enough
        return Text(name, (), ())
    return Text(name, found.get_feature_names_out().tolist(), found.idf_.tolist())


def _terms(text: str) -> list[str]:
    return list(terms(text))
