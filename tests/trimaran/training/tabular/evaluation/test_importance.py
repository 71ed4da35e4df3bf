from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pandas as pd

from trimaran.training.tabular.evaluation.importance import permutation_importance
from trimaran.training.tabular.tasks.binary import Binary

ROWS = 60


def measured(
    probability: Callable[[pd.DataFrame], npt.NDArray[np.float32]], target: npt.NDArray[np.bool_]
) -> Callable[[pd.DataFrame], tuple[float, float]]:
    return lambda rows: Binary("yes").measure(target, probability(rows), {"threshold": 0.5})


def test_no_record_loses_its_only_field() -> None:
    lone = np.arange(ROWS) % 3
    frame = pd.DataFrame(
        {
            "a": np.where(lone == 0, np.nan, np.arange(ROWS)),
            "b": np.where(lone == 1, np.nan, np.arange(ROWS)),
        }
    )
    asked = []

    def probability(rows: pd.DataFrame) -> npt.NDArray[np.float32]:
        assert rows.notna().any(axis=1).all()
        asked.append(rows)
        return np.linspace(0.1, 0.9, ROWS, dtype=np.float32)

    permutation_importance(measured(probability, lone == 2), frame, ["a", "b"], 0)
    assert len(asked) == 11
    for name in frame:
        moved = [rows for rows in asked if not rows[name].equals(frame[name])]
        assert len(moved) == 5
        for rows in moved:
            assert sorted(rows[name].dropna()) == sorted(frame[name].dropna())


def test_a_field_may_have_any_name_and_may_be_the_only_one() -> None:
    frame = pd.DataFrame({"self": np.arange(ROWS, dtype=np.float64)})
    target = np.arange(ROWS) >= ROWS / 2

    def probability(rows: pd.DataFrame) -> npt.NDArray[np.float32]:
        found: npt.NDArray[np.float32] = np.where(rows["self"] >= ROWS / 2, 0.9, 0.1).astype("f4")
        return found

    (found,) = permutation_importance(measured(probability, target), frame, ["self"], 0)
    assert found.field == "self"
    assert found.loss_rise > 0.5
    assert frame["self"].tolist() == list(range(ROWS))
