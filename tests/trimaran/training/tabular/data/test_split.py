from __future__ import annotations

import numpy as np
import pytest

from trimaran.system.errors import TrimaranError
from trimaran.training.tabular.data.split import stratified_folds, stratified_split
from trimaran.training.tabular.data.time_split import spans, time_folds, time_split
from trimaran.training.tabular.tasks.binary import Binary
from trimaran.training.tabular.tasks.regression import Regression
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


def test_by_time_the_oldest_rows_train_and_the_newest_test() -> None:
    days = np.random.default_rng(1).permutation(1000).astype(np.float64)
    split = time_split(days, strata(target(1000, 140)))
    assert [sorted(days[part].tolist()) for part in split.parts().values()] == [
        list(range(700)),
        list(range(700, 850)),
        list(range(850, 1000)),
    ]
    assert spans(split, days)["validation"] == ("1971-12-02", "1972-04-29")


def test_rows_of_one_date_are_in_one_part() -> None:
    days = np.random.default_rng(2).integers(0, 12, 500).astype(np.float64)
    flags = target(500, 200)
    split = time_split(days, strata(flags))
    for one in (split, *time_folds(days, strata(flags), split.train, 4)):
        parts = [set(days[part].tolist()) for part in one.parts().values()]
        assert all(parts)
        assert max(parts[0]) < min(parts[1])
        assert max(parts[1]) < min(parts[2])


def test_folds_by_time_expand_and_are_tested_on_all_but_the_first_block() -> None:
    days = np.random.default_rng(3).permutation(1000).astype(np.float64)
    rows = np.flatnonzero(days < 800)
    folds = time_folds(days, strata(target(1000, 400)), rows, 4)
    tested = np.concatenate([fold.test for fold in folds])
    assert days[tested].tolist() == list(range(160, 800))
    for place, fold in enumerate(folds, 1):
        learnt = np.concatenate([fold.train, fold.validation])
        assert days[learnt].tolist() == list(range(160 * place))
        assert len(fold.validation) == pytest.approx(160 * place * 15 / 85, abs=1)


def test_a_gap_leaves_out_what_was_not_known_when_the_next_part_began() -> None:
    days = np.random.default_rng(4).permutation(1000).astype(np.float64)
    split = time_split(days, strata(target(1000, 140)), gap_days=40)
    folds = time_folds(days, strata(target(1000, 400)), np.arange(1000), 4, gap_days=40)
    assert days[np.concatenate([fold.test for fold in folds])].tolist() == [*range(200, 1000)]
    ends = [
        [(int(days[part].min()), int(days[part].max())) for part in one.parts().values()]
        for one in (split, *folds)
    ]
    assert ends == [
        [(0, 619), (660, 809), (850, 999)],
        [(0, 91), (132, 159), (200, 399)],
        [(0, 255), (296, 359), (400, 599)],
        [(0, 420), (461, 559), (600, 799)],
        [(0, 585), (626, 759), (800, 999)],
    ]


def test_what_cannot_be_split_by_time_is_refused() -> None:
    flags, days = np.arange(100) < 60, np.arange(100.0)
    said = "the validation part, 1970-03-12 to 1970-03-26, has 0 positive rows; it takes 3 or more"
    with pytest.raises(TrimaranError, match=said):
        time_split(days, strata(flags))
    with pytest.raises(TrimaranError, match=r"the train part of fold 1 of 3, .* has 0 negative"):
        time_folds(days, strata(flags), np.arange(100), 3)
    with pytest.raises(TrimaranError, match="100 rows to split by time have 2 different dates; it"):
        time_split(days // 50, strata(flags))
    numbers = Regression().strata(days)
    assert len(time_split(days, numbers).test) == 15
    with pytest.raises(TrimaranError, match="the validation part has 0 rows"):
        time_split(np.where(days > 2, 90.0, days), numbers)
    with pytest.raises(TrimaranError, match="the test part of fold 1 of 3 has 0 rows"):
        time_folds(np.where(days > 20, 90.0, days), numbers, np.arange(100), 3)
    less = "it takes 3 or more, so add records, make gap_days less, or"
    with pytest.raises(TrimaranError, match=f"the train part has 0 rows; {less} split without"):
        time_split(days, numbers, gap_days=60)
    with pytest.raises(
        TrimaranError, match=f"train part of fold 1 of 3 has 0 rows; {less} ask for"
    ):
        time_folds(days, numbers, np.arange(100), 3, gap_days=20)
    with pytest.raises(TrimaranError, match=r"0 rows to .* have 0 .*, so make gap_days less,"):
        time_folds(days, numbers, np.arange(100), 3, gap_days=30)
