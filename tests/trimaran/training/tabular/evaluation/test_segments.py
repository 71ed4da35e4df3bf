from __future__ import annotations

import numpy as np
import pandas as pd

from tests.trimaran.training.tabular.customers import SCHEMA, frame
from trimaran.training.tabular.data.groups import Cuts, groups
from trimaran.training.tabular.tasks.task import Segment


def segments(
    table: pd.DataFrame, target: np.ndarray, decided: np.ndarray, cuts: Cuts
) -> list[Segment]:
    return [
        SCHEMA.task.segment(field, group, target[inside], decided[inside], {"threshold": 0.5})
        for field, group, inside in groups(table, SCHEMA, cuts)
    ]


def test_groups_are_values_and_ranges() -> None:
    table = frame()
    decided = np.ones(len(table), dtype=bool)
    target = (table["left"] == "yes").to_numpy()
    found = segments(table, target, decided, {"calls": (2, 4), "minutes": (100, 200)})
    groups = [(one.field, one.group) for one in found]
    assert groups == [
        ("calls", "0 to 1"),
        ("calls", "2 to 3"),
        ("calls", "4 or more"),
        ("minutes", "below 100"),
        ("minutes", "100 to below 200"),
        ("minutes", "200 or more"),
        ("minutes", "missing"),
        ("plan", "basic"),
        ("plan", "family"),
        ("plan", "full"),
    ]
    for field in ("calls", "minutes", "plan"):
        assert sum(one.rows for one in found if one.field == field) == len(table)
    assert {one.scores["recall"] for one in found if one.scores["positives"]} == {1.0}
    assert [one.small for one in found if one.group == "missing"] == [True]


def test_what_is_unknown_is_left_open() -> None:
    table = frame(40)
    nothing = np.zeros(len(table), dtype=bool)
    for one in segments(table, nothing, nothing, {}):
        assert [one.scores[name] for name in ("f1", "precision", "recall")] == [None] * 3
        assert one.small


def test_a_field_of_many_values_makes_no_groups() -> None:
    table = frame().assign(plan=[f"p{row % 7}" for row in range(600)])
    nothing = np.zeros(len(table), dtype=bool)
    assert not segments(table, nothing, nothing, {})
