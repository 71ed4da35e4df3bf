"""That simulated payments are as the handbook says, and that no field knows what comes later."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from trimaran.training.recipes import recipe
from trimaran.training.tabular.data.card_fraud import DELAY_DAYS, card_fraud, described
from trimaran.training.tabular.data.card_payments import DAY_S, Payments, simulate
from trimaran.training.tabular.data.sources import Dataset, of_frame, packaged_schema
from trimaran.training.tabular.learning.hyperparameters import Hyperparameters
from trimaran.training.tabular.learning.learn import Problem, learn


@pytest.fixture(scope="module")
def paid() -> Payments:
    return simulate(0, 120, 240, 75)


@pytest.fixture(scope="module")
def table(paid: Payments) -> pd.DataFrame:
    return described(paid)


def paid_at(day: int) -> pd.Timestamp:
    return pd.Timestamp("2018-04-01") + pd.Timedelta(days=day)


@pytest.fixture(scope="module")
def dataset(table: pd.DataFrame) -> Dataset:
    return of_frame(table, packaged_schema("card_fraud"), "payments")


def test_equal_seeds_give_equal_payments_and_others_do_not(paid: Payments) -> None:
    again, other = simulate(0, 120, 240, 75), simulate(1, 120, 240, 75)
    for name in vars(paid):
        np.testing.assert_array_equal(getattr(paid, name), getattr(again, name))
    assert not np.array_equal(paid.cents[:100], other.cents[:100])
    pd.testing.assert_frame_equal(card_fraud(0, 120, 240, 75), described(paid))


def test_payments_are_spread_as_the_handbook_says(paid: Payments) -> None:
    assert (np.diff(paid.time_s) >= 0).all()
    own = paid.kind == 0
    daily = np.bincount(paid.customer, minlength=120) / 75
    # Uniform from 0 to 4 on average, but for the 3 % of times that are not within the day.
    assert daily[daily > 0].mean() == pytest.approx(1.94, abs=0.25)
    assert paid.cents[own].mean() == pytest.approx(5250, rel=0.1)
    assert paid.cents[own].max() <= 22_000
    noon = paid.time_s % DAY_S / 3600
    assert (noon.mean(), noon.std()) == pytest.approx((12, 5.05), abs=0.15)


def test_each_kind_of_fraud_follows_its_rule(paid: Payments) -> None:
    assert (paid.cents[paid.kind == 1] > 22_000).all()
    for terminal in np.unique(paid.terminal[paid.kind == 2]):
        theirs = paid.terminal == terminal
        days = paid.day[theirs & (paid.kind == 2)]
        within = theirs & (paid.day >= days.min()) & (paid.day <= days.max())
        assert paid.fraud[within].all() or days.max() - days.min() > 28
    stolen = paid.kind == 3
    assert (paid.cents[stolen] % 5 == 0).all()
    assert paid.cents[stolen].mean() > 3 * paid.cents[paid.kind == 0].mean()


def test_windows_are_those_counted_one_by_one(paid: Payments, table: pd.DataFrame) -> None:
    first = len(paid.time_s) - len(table)
    for row in np.random.default_rng(0).choice(len(table), 25, replace=False):
        at, found = first + row, table.iloc[row]
        ago = (paid.time_s[at] - paid.time_s) / DAY_S
        for days in (1, 7, 30):
            theirs = (paid.customer == paid.customer[at]) & (ago > 0) & (ago <= days)
            assert found[f"customer_payments_{days}d"] == theirs.sum()
            mean = paid.cents[theirs].mean() / 100 if theirs.any() else np.nan
            assert found[f"customer_mean_{days}d"] == pytest.approx(mean, abs=0.006, nan_ok=True)
            known = (ago > DELAY_DAYS) & (ago <= DELAY_DAYS + days)
            there = (paid.terminal == paid.terminal[at]) & known
            assert found[f"terminal_payments_{days}d"] == there.sum()
            risk = paid.fraud[there].mean() if there.any() else np.nan
            assert found[f"terminal_risk_{days}d"] == pytest.approx(risk, abs=6e-5, nan_ok=True)


def test_what_comes_later_changes_no_row(paid: Payments, table: pd.DataFrame) -> None:
    days = 55
    before = (table["paid_at"] < paid_at(days)).to_numpy()
    late = paid.day >= days
    recent = paid.day >= days - DELAY_DAYS
    other = replace(
        paid,
        cents=np.where(late, paid.cents * 3, paid.cents),
        terminal=np.where(late, 0, paid.terminal),
        kind=np.where(recent, 1 - paid.fraud, paid.kind),
    )
    changed = described(other)
    fields = [name for name in table.columns if name != "fraud"]
    pd.testing.assert_frame_equal(changed.loc[before, fields], table.loc[before, fields])
    assert not changed.loc[~before, fields].equals(table.loc[~before, fields])


def test_no_part_learns_a_fraud_that_is_not_known_yet(paid: Payments, dataset: Dataset) -> None:
    about = Problem.of(dataset)
    assert dataset.schema.gap_days == DELAY_DAYS
    day = paid.time_s[len(paid.time_s) - len(dataset.frame) :] / DAY_S
    train, validation, test = (day[rows] for rows in about.split(0).parts().values())
    assert validation.min() - train.max() > DELAY_DAYS
    assert test.min() - validation.max() > DELAY_DAYS
    assert (train.min(), test.max()) == (day.min(), day.max())


def test_a_model_finds_frauds_that_it_was_not_trained_on(dataset: Dataset) -> None:
    about = Problem.of(dataset)
    how = recipe("card_fraud", dataset.schema, "linear")
    split = about.split(0)
    learned = learn(about, split, how.plan, Hyperparameters(network="linear"), 0)
    found = learned.predictions(learned.features(about.rows(split.test)))
    scores = about.task.score(about.target[split.test], found, learned.chosen)
    assert scores.pr_auc > 10 * scores.positives / scores.rows
    assert scores.alert_precision > 0.1
