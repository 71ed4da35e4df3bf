from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer

from trimaran.served.records import Table
from trimaran.served.tokens import terms
from trimaran.served.words import Text, Texts
from trimaran.training.tabular.data.schema import FieldSchema, Schema
from trimaran.training.tabular.features.texts import MOST_TERMS, fit_texts
from trimaran.training.tabular.tasks.binary import Binary

SCHEMA = Schema("t", "left", Binary("yes"), (FieldSchema("note", "text"),))
WORDS = ("slow", "rude", "refund", "Bill", "phone", "late", "never", "kind", "Ärger", "don't")


def fitted(texts: list[str | None]) -> Text:
    return fit_texts(SCHEMA, Table(np.empty((len(texts), 0)), [], [texts]))[0]


def drawn(rows: int) -> list[str | None]:
    chance = np.random.default_rng(0)
    made = [" ".join(chance.choice(WORDS, 4)) for _ in range(rows)]
    return [None if chance.random() < 0.1 else text for text in made]


def test_columns_are_those_of_scikit_learn() -> None:
    texts = drawn(300)
    text = fitted(texts)
    assert len(text.terms) <= MOST_TERMS
    assert {"slow", "ärger", "don't", "slow rude"} <= set(text.terms)
    other = TfidfVectorizer(analyzer=lambda each: list(terms(each)), vocabulary=list(text.terms))
    other.fit([each for each in texts if each])
    expected = other.transform([each or "" for each in texts]).toarray()
    (found,) = Texts([text]).columns([texts])
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert text.columns[0] == f"note~{text.terms[0]}"


@given(st.lists(st.none() | st.text(), min_size=1, max_size=4))
def test_any_text_has_numbers_that_depend_on_no_other(texts: list[str | None]) -> None:
    known = Texts([fitted(drawn(60))])
    (together,) = known.columns([texts])
    assert np.isfinite(together).all()
    alone = [known.columns([[text]])[0][0] for text in texts]
    np.testing.assert_array_equal(together, alone)


def test_texts_without_a_frequent_term_give_no_column() -> None:
    assert fitted(["all alike"] * 20).columns == []
    assert fitted([f"word{row}" for row in range(20)]).columns == []
    assert fitted([None, "a"]).columns == []
    (words,) = Texts.counted([["two words", None, "  "]])
    np.testing.assert_array_equal(words, [2, np.nan, 0])
