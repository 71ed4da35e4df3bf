from __future__ import annotations

import numpy as np
import pytest

from trimaran.system.errors import TrimaranError
from trimaran.training.tabular.data.split import stratified_folds, stratified_split
from trimaran.training.tabular.tasks.binary import Binary
from trimaran.training.tabular.tasks.task import FEWEST_OF_EACH, Strata


def target(rows: int, positives: int) -> np.ndarray:
    flags = np.zeros(rows, dtype=bool)
    flags[:positives] = True
    return np.random.default_rng(0).permutation(flags)


def strata(flags: np.ndarray) -> Strata:
    return Binary("yes").strata(flags)


def test_every_row_is_in_one_part() -> None:
    split = stratified_split(strata(target(1000, 140)), 3)
    together = np.concatenate([split.train, split.validation, split.test])
    assert sorted(together.tolist()) == list(range(1000))
    assert [len(part) for part in split.parts().values()] == [700, 150, 150]


def test_every_part_has_the_same_share_of_positives() -> None:
    flags = target(1000, 140)
    for seed in range(5):
        split = stratified_split(strata(flags), seed)
        assert [int(flags[part].sum()) for part in split.parts().values()] == [98, 21, 21]


def test_the_seed_decides_the_split() -> None:
    flags = target(1000, 140)
    one, same, other = (stratified_split(strata(flags), seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.test, same.test)
    assert set(one.test.tolist()) != set(other.test.tolist())


@pytest.mark.parametrize("positives", [0, 1, FEWEST_OF_EACH - 1])
def test_too_few_of_an_outcome_are_refused(positives: int) -> None:
    with pytest.raises(TrimaranError, match=f"has {positives} positive rows"):
        stratified_split(strata(target(200, positives)), 0)
    with pytest.raises(TrimaranError, match=f"has {positives} negative rows"):
        stratified_split(strata(~target(200, positives)), 0)


def test_each_row_is_tested_in_one_fold_and_rows_outside_in_none() -> None:
    flags = target(1000, 140)
    split = stratified_split(strata(flags), 0)
    rows = np.sort(np.concatenate([split.train, split.validation]))
    folds = stratified_folds(strata(flags), rows, 5, 0)
    tested = np.concatenate([fold.test for fold in folds])
    assert sorted(tested.tolist()) == rows.tolist()
    for fold in folds:
        together = np.concatenate([fold.train, fold.validation, fold.test])
        assert sorted(together.tolist()) == rows.tolist()


def test_too_few_rows_outside_the_test_part_are_refused() -> None:
    said = "the rows to cross-validate, which are all but the test part, have 18 positive rows"
    flags = target(200, 21)
    rows = np.delete(np.arange(200), np.flatnonzero(flags)[:3])
    with pytest.raises(TrimaranError, match=said):
        stratified_folds(strata(flags), rows, 2, 0)


def test_more_folds_than_positives_are_refused() -> None:
    with pytest.raises(TrimaranError, match="must be between 2 and 30"):
        stratified_folds(strata(target(200, 30)), np.arange(200), 31, 0)
