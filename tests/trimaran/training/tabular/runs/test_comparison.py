from __future__ import annotations

import numpy as np
import pytest

from trimaran.training.tabular.evaluation.metrics import METRICS
from trimaran.training.tabular.runs.comparison import Scored, as_document, by_model, spread


def scored(f1: float) -> Scored:
    return {name: {**dict.fromkeys(METRICS, 0.5), "f1": f1} for name in ("mlp", "boosting")}


def test_the_spread_is_of_a_sample() -> None:
    found = spread([1.0, 2.0, 4.0])
    assert found.mean == pytest.approx(7 / 3)
    assert found.sd == pytest.approx(np.std([1, 2, 4], ddof=1))


def test_a_document_holds_the_spreads_and_every_score() -> None:
    scores = [scored(0.8), scored(0.9)]
    document = as_document({"folds": 2}, scores)
    assert document["folds"] == 2
    assert document["scores"] == scores
    assert document["spread"]["mlp"]["f1"]["mean"] == pytest.approx(0.85)
    assert document["spread"]["mlp"]["recall"] == {"mean": 0.5, "sd": 0.0}
    assert list(by_model(scores)) == ["mlp", "boosting"]
