from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.training.tabular.customers import FAST, problem, recipe
from training.tabular.data.split import stratified_split
from training.tabular.judging.comparison import as_document, by_model, cross_validate
from training.tabular.judging.spread import spread


def test_the_spread_is_of_a_sample() -> None:
    found = spread([1.0, 2.0, 4.0])
    assert found.mean == pytest.approx(7 / 3)
    assert found.sd == pytest.approx(np.std([1, 2, 4], ddof=1))


def test_folds_never_read_the_test_part() -> None:
    about = problem()
    quick = recipe(replace(FAST, epochs=3))
    test = stratified_split(about.target, 0).test
    table = about.frame.copy()
    table.loc[test, ["calls", "minutes"]] = 1e30
    table.loc[test, "plan"] = "garbage"
    epochs: list[int] = []
    scored = cross_validate(about, quick, 3, 0, lambda fold: lambda number, *_: epochs.append(fold))
    assert epochs == [0] * 3 + [1] * 3 + [2] * 3
    assert scored == cross_validate(replace(about, frame=table), quick, 3, 0)
    assert sum(each["mlp"]["rows"] for each in scored) == len(about.frame) - len(test)
    document = as_document({"folds": 3}, scored)
    assert document["folds"] == 3
    f1 = [each["mlp"]["f1"] for each in scored]
    assert document["spread"]["mlp"]["f1"]["mean"] == pytest.approx(np.mean(f1))
    assert set(by_model(scored)) == {"mlp", "logistic regression", "gradient boosting"}
