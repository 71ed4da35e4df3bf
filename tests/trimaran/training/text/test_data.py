"""Tables of texts: what is left out, what is refused, and the parts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from trimaran.system.errors import TrimaranError, UsageError
from trimaran.training.text.data import TextData, food_reviews, from_table, load, split
from trimaran.training.text.run import train


def table_of(
    texts: Sequence[str | None],
    classes: Sequence[str],
    positive: str = "",
    tested: np.ndarray | None = None,
) -> TextData:
    frame = pd.DataFrame({"said": texts, "mood": classes})
    return from_table("t", frame, "said", "mood", positive, "t.csv", tested)


def test_the_reviews_have_their_own_test_part_and_no_text_in_two_parts() -> None:
    data = food_reviews()
    parts = split(data, 0)
    assert {name: len(rows) for name, rows in parts.by_name().items()} == {
        "train": 3377,
        "validation": 596,
        "test": 1000,
    }
    assert len(set(data.texts)) == len(data.texts) == 4973
    assert data.tested is not None
    assert sorted(parts.test) == np.flatnonzero(data.tested).tolist()
    assert data.target[parts.test].sum() == 658
    assert data.notes[0].startswith("27 texts repeat another one")


def test_of_equal_texts_the_one_in_the_test_part_stays() -> None:
    tested = np.array([False, False, False, True])
    data = table_of(["a b", "c", "c ", "a\nb"], ["x", "x", "y", "y"], tested=tested)
    assert data.texts == ("c", "a b")
    assert data.target.tolist() == [True, False]  # x, of as many rows as y
    assert data.tested is not None
    assert data.tested.tolist() == [False, True]


def test_texts_that_would_be_refused_are_left_out_with_a_note() -> None:
    data = table_of(["good", None, " \x00", "z" * 100_001, "bad"], ["x", "x", "x", "y", "y"])
    assert data.texts == ("good", "bad")
    assert data.notes == ("3 texts are empty or too long and were left out",)


@pytest.mark.parametrize(
    ("classes", "positive", "message"),
    [
        (["x", "y", "z"], "", r"'mood' holds 3 values \('x', 'y', 'z'\); .* exactly two"),
        (["x", "x", "x"], "", "holds 1 values"),
        (["x", "", "x"], "", "none of them empty"),
        (["x", "y", "x"], "w", "no row has 'w' in the column 'mood'; choose from x, y"),
    ],
)
def test_a_table_without_two_classes_is_refused(
    classes: list[str], positive: str, message: str
) -> None:
    with pytest.raises(TrimaranError, match=message):
        table_of(["a", "b", "c"], classes, positive)


def test_few_texts_of_a_class_are_refused() -> None:
    texts = [f"text {n}" for n in range(60)]
    data = table_of(texts, ["x"] * 50 + ["y"] * 10)
    with pytest.raises(TrimaranError, match=r"t\.csv has 10 texts of the class 'y'"):
        split(data, 0)


def test_a_name_that_is_no_table_is_refused() -> None:
    with pytest.raises(UsageError, match="'reviews' is neither a CSV file nor a public table"):
        load("reviews")


def test_a_csv_file_names_its_models_and_its_columns(tmp_path: Path) -> None:
    path = tmp_path / "2 reviews.csv"
    path.write_text("said,mood\ngood tea,yes\nbad tea,no\nfine,yes\n")
    data = load(path, "said", "mood")
    assert (data.name, data.positive, data.negative) == ("2_reviews", "no", "yes")
    assert load(path, "said", "mood", "yes", "tea").name == "tea"
    with pytest.raises(UsageError, match="no column 'text' for --text; its columns are said, mood"):
        load(path, "text", "mood")
    with pytest.raises(UsageError, match="'2_reviews' cannot name a model"):
        train(path, text="said", target="mood", out=tmp_path)
    assert not (tmp_path / "2_reviews").exists()
