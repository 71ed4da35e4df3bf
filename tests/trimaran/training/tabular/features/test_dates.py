from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from trimaran.served.dates import days_of
from trimaran.served.transform import Transform
from trimaran.training.tabular.data.schema import FieldSchema, Schema
from trimaran.training.tabular.features.fit import FittedFeatures, fit_features, transform_frame
from trimaran.training.tabular.features.plan import FeaturePlan
from trimaran.training.tabular.tasks.binary import Binary

ROWS = 300
SCHEMA = Schema(
    "shop",
    "left",
    Binary("yes"),
    (
        FieldSchema("signed_up", "date"),
        FieldSchema("calls", "number"),
        FieldSchema("called_on", "date"),
    ),
)
CHANCE = np.random.default_rng(3)
CALLED = days_of("2025-01-01") + CHANCE.uniform(0, 50, ROWS)
FRAME = pd.DataFrame(
    {
        "signed_up": np.floor(days_of("2020-01-01") + CHANCE.uniform(0, 1500, ROWS)),
        "calls": CHANCE.normal(size=ROWS),
        "called_on": CALLED,
    }
)


def fitted(schema: Schema, frame: pd.DataFrame = FRAME, **plan: object) -> FittedFeatures:
    return fit_features(FeaturePlan(**plan), schema, frame, None, 0)  # type: ignore[arg-type]


def test_a_date_has_the_parts_of_which_training_holds_two_cycles() -> None:
    found = fitted(SCHEMA)
    signed, called = found.data.dates
    assert list(signed.parts) == ["days", "weekday", "day", "month_sin", "month_cos"]
    assert list(called.parts) == ["days", "time_sin", "time_cos", "weekday"]
    assert found.notes == (
        "the date 'called_on' gives no day of the month and no month: its training values span 50 "
        "days, and a cycle is learnt from two or more",
    )


def test_days_are_as_of_the_time_which_has_none_itself() -> None:
    by_time = fitted(replace(SCHEMA, time="called_on"), scale=None)
    assert [date.as_of for date in by_time.data.dates] == ["called_on", None]
    assert "called_on_days" not in by_time.data.outputs
    features = transform_frame(Transform(by_time.data), SCHEMA, FRAME)
    age = features[:, by_time.data.outputs.index("signed_up_days")]
    np.testing.assert_allclose(age, FRAME["called_on"] - FRAME["signed_up"], rtol=1e-6)
    fixed = fitted(SCHEMA, scale=None)
    features = transform_frame(Transform(fixed.data), SCHEMA, FRAME)
    newest = features[:, fixed.data.outputs.index("called_on_days")]
    np.testing.assert_allclose(newest, CALLED.max() - CALLED, atol=1e-3)


def test_a_missing_date_is_filled_and_flagged_in_every_part() -> None:
    frame = FRAME.assign(signed_up=FRAME["signed_up"].where(FRAME.index >= 30))
    data = fitted(SCHEMA, frame, scale=None).data
    assert data.flags == ["signed_up"]
    features = transform_frame(Transform(data), SCHEMA, frame)
    assert np.isfinite(features).all()
    place = data.outputs.index("signed_up_days")
    assert len(np.unique(features[:30, place])) == 1
    assert features[30:, place].min() < features[0, place] < features[30:, place].max()
    assert features[:, data.outputs.index("signed_up_missing")].sum() == 30


def test_a_date_that_is_dropped_or_left_out_gives_no_column() -> None:
    gone = FRAME.assign(called_on=FRAME["called_on"].where(FRAME.index < 20))
    found = fitted(replace(SCHEMA, time="called_on"), gone)
    assert [name for name in found.data.outputs if "called" in name or "days" in name] == []
    assert found.notes[0].startswith("the field 'called_on' was dropped: 93.3% of its training")
    left = fitted(SCHEMA, leave_out=("signed_up",)).data.outputs
    assert {name.rpartition("_")[0] for name in left if "_" in name} == {
        "called_on",
        "called_on_time",
    }
