"""A finished run of texts that predicts other ones."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from trimaran.rollout.runs.families.known import figures_of, frozen_of
from trimaran.system.errors import TrimaranError
from trimaran.training.tabular.data.reading import Source
from trimaran.training.text.data import from_table
from trimaran.training.text.run import train_data
from trimaran.training.text.trained import TextRun
from trimaran.training.text.tuning import Tuning

WORDS = {"good": ["fine", "sweet", "fresh"], "bad": ["stale", "bitter", "cold"]}


def reviews(rows: int, seed: int, length: int = 8) -> pd.DataFrame:
    """Texts whose words tell their class, but for chance."""
    drawn = np.random.default_rng(seed)
    moods = drawn.choice(list(WORDS), rows)
    texts = []
    for row, mood in enumerate(moods):
        own = drawn.choice(WORDS[mood], length)
        other = drawn.choice([word for words in WORDS.values() for word in words], length)
        mixed = np.where(drawn.random(length) < 0.3, own, other)
        words = mixed[: drawn.integers(length // 2, length + 1)]
        texts.append(f"{' '.join(words)} {seed}-{row}")
    return pd.DataFrame({"said": texts, "mood": moods})


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> TextRun:
    data = from_table("shop", reviews(900, 0), "said", "mood", "good", "shop.csv")
    return train_data(data, "tfidf", 0, tmp_path_factory.mktemp("texts"), Tuning())


def predicted(run: TextRun, frame: pd.DataFrame, folder: Path) -> list[dict[str, str]]:
    """What the run says of a table; its files are in `folder`."""
    folder.mkdir()
    frame.to_csv(folder / "new.csv", index=False)
    data = frozen_of(run.directory, "shop/1").read(Source(str(folder / "new.csv")), lambda *_: None)
    assert "Data of shop" in data.page()
    data.predict(folder, lambda *_: None)
    return list(csv.DictReader((folder / "predictions.csv").read_text().splitlines()))


def test_a_frozen_run_predicts_what_it_predicted_when_it_was_trained(
    run: TextRun, tmp_path: Path
) -> None:
    now = predicted(run, reviews(900, 0), tmp_path / "again")
    before = {row["row"]: row for row in csv.DictReader(run.text("predictions.csv").splitlines())}
    same = [row for row in now if row["row"] in before]
    assert len(same) == len(before) > 200
    for row in same:
        assert float(row["probability"]) == pytest.approx(
            float(before[row["row"]]["probability"]), abs=1e-6
        )
        assert row["target"] == before[row["row"]]["target"]
    figures = figures_of(tmp_path / "again")
    assert figures.notes[0].startswith("256 of the 256 texts of the training part")
    assert figures.value is not None


def test_new_texts_are_scored_where_their_class_is_known_and_longer_ones_are_drift(
    run: TextRun, tmp_path: Path
) -> None:
    frame = reviews(400, 1, length=20)
    frame.loc[:99, "mood"] = ""
    frame.loc[0, "said"] = " "
    rows = predicted(run, frame, tmp_path / "long")
    assert [row["row"] for row in rows] == [str(row) for row in range(1, 400)]
    assert {row["part"] for row in rows if row["target"]} == {"test"}
    figures = figures_of(tmp_path / "long")
    assert figures.rows == {"test": 300, "new": 99}
    assert figures.value is not None
    assert 0.7 < figures.value <= 1
    assert figures.notes == ["1 text is empty or too long, and not predicted"]
    metrics = json.loads((tmp_path / "long" / "metrics.json").read_text())
    assert (metrics["drift"][0]["feature"], metrics["drift"][0]["verdict"]) == ("tokens", "drift")

    unknown = predicted(run, frame.drop(columns="mood"), tmp_path / "unknown")
    assert {row["part"] for row in unknown} == {"new"}
    assert figures_of(tmp_path / "unknown").value is None
    assert "so the predictions are not scored" in (tmp_path / "unknown/report.html").read_text()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("mood\ngood\n", "has no column 'said', in which shop learnt its texts; its columns are m"),
        ("said,mood\nhello,Good\n", "holds 'Good', and shop knows the classes good and bad"),
        ("said\n \n", "has no text that can be read in the column 'said'"),
    ],
)
def test_texts_that_do_not_fit_are_refused(
    run: TextRun, tmp_path: Path, text: str, says: str
) -> None:
    (tmp_path / "new.csv").write_text(text)
    frozen = frozen_of(run.directory, "shop/1")
    with pytest.raises(TrimaranError, match=says):
        frozen.read(Source(str(tmp_path / "new.csv")), lambda *_: None)
    with pytest.raises(TrimaranError, match="is not a file; shop predicts the texts of a CSV file"):
        frozen.read(Source(str(tmp_path)), lambda *_: None)
