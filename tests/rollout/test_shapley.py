"""Shapley values of functions whose exact ones are known."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from tests.rollout.shop import customers
from tests.trimaran.calling import call_trimaran
from trimaran.rollout.results.explaining import Explainer
from trimaran.rollout.results.explanations import in_words
from trimaran.rollout.results.shapley import Columns, contributions
from trimaran.training.tabular.runs.trained import TrainedRun

DRAWN = np.random.default_rng(3)
ROWS = [DRAWN.integers(0, 3, 7) * 1.0, DRAWN.integers(0, 2, 7), np.array(list("abcabca"), object)]
BACKGROUND = [
    DRAWN.integers(0, 3, 6) * 1.0,
    DRAWN.integers(0, 2, 6),
    np.array(list("ababbc"), object),
]
WORTH = {"a": 0.5, "b": -1.0, "c": 2.0}


def additive(columns: Columns, of_row: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    first, second, third = columns
    return 3 * first - 2 * second + np.array([WORTH[each] for each in third])


def mixed(columns: Columns, of_row: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """With an answer of its own for each row that is explained."""
    return additive(columns, of_row) * (1 + columns[0] * columns[1]) + of_row


def test_in_a_sum_each_field_adds_its_part_less_the_mean_of_that_part() -> None:
    found = contributions(additive, ROWS, BACKGROUND)
    worth = [np.array([WORTH[each] for each in side[2]]) for side in (ROWS, BACKGROUND)]
    expected = [
        3 * (ROWS[0] - BACKGROUND[0].mean()),
        -2 * (ROWS[1] - BACKGROUND[1].mean()),
        worth[0] - worth[1].mean(),
    ]
    np.testing.assert_allclose(found, np.transpose(expected), atol=1e-12)


def test_contributions_add_up_to_the_answer_less_the_mean_of_the_background() -> None:
    told: list[int] = []
    found = contributions(mixed, ROWS, BACKGROUND, seed=5, done=told.append)
    for row in range(7):
        answer = mixed([column[row : row + 1] for column in ROWS], np.array([row]))[0]
        mean = mixed(BACKGROUND, np.full(6, row)).mean()
        assert found[row].sum() == pytest.approx(answer - mean)
    assert told[-1] == 7


def test_they_tend_to_the_mean_over_every_order() -> None:
    repeated = [np.tile(column, 400) for column in BACKGROUND]
    found = contributions(mixed, ROWS, repeated)
    exact = np.zeros((7, 3))
    for order in permutations(range(3)):
        for row in range(7):
            point = [column.copy() for column in BACKGROUND]
            for field in order:
                before = mixed(point, np.full(6, row)).mean()
                point[field] = np.full(6, ROWS[field][row], dtype=ROWS[field].dtype)
                exact[row, field] += (mixed(point, np.full(6, row)).mean() - before) / 6
    np.testing.assert_allclose(found, exact, atol=0.25)
    assert np.abs(exact).max() > 5


@pytest.mark.long
def test_a_trained_linear_model_is_explained_by_its_weights(tmp_path: Path) -> None:
    table = customers(600, 1).drop(columns="left")
    table["paid"] = 5 * table["calls"] + 7 * (table["plan"] == "year") + DRAWN.normal(0, 1, 600)
    table.loc[::50, "calls"] = np.nan
    table.to_csv(tmp_path / "paid.csv", index=False)
    done = call_trimaran(
        *("train", "paid.csv", "--target=paid", "--task=regression", "--model=linear"),
        cwd=tmp_path,
    )
    assert done.status == 0, done.stderr
    run = TrainedRun(next((tmp_path / "runs/paid").glob("linear-*")))
    explainer = Explainer.of(run)
    assert explainer is not None
    frame = table.iloc[:80].drop(columns="paid")
    found = dict(zip(explainer.fields, explainer.contributions(frame).T, strict=True))

    def answers(rows: pd.DataFrame) -> npt.NDArray[np.float64]:
        return np.asarray(explainer._answers(explainer._columns(rows)))[:, 0].astype(np.float64)

    slope = (answers(frame.assign(calls=4.0)) - answers(frame.assign(calls=3.0))).mean()
    assert slope == pytest.approx(5, abs=0.2)
    known = (frame["calls"] <= 6).to_numpy()  # beyond, outliers are held at a bound
    between = np.subtract.outer(found["calls"][known], found["calls"][known])
    apart = np.subtract.outer(*[frame["calls"][known].to_numpy()] * 2)
    np.testing.assert_allclose(between, slope * apart, atol=1e-3)
    step = (
        found["plan"][frame["plan"] == "year"].mean()
        - found["plan"][frame["plan"] == "month"].mean()
    )
    assert step == pytest.approx(7, abs=0.3)
    assert np.ptp(found["plan"][frame["plan"] == "year"]) < 1e-4
    assert "calls missing (" in in_words(explainer.explain(frame.iloc[:1], most=2)[0])
