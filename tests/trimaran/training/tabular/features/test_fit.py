from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.preprocessing import (
    KBinsDiscretizer,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    StandardScaler,
    TargetEncoder,
)

from tests.trimaran.training.tabular.telephony import (
    EVERYTHING,
    FRAME,
    NUMBERS,
    RAW,
    SCHEMA,
    TARGET,
    TEXTS,
    features,
    fitted,
    float32,
    strangers,
    table,
)
from trimaran.served.transform import Derived, Transform
from trimaran.system.errors import TrimaranError
from trimaran.training.tabular.features import columns
from trimaran.training.tabular.features.fit import fit_features, transform_frame
from trimaran.training.tabular.features.plan import Binning


@pytest.mark.parametrize(
    ("impute", "strategy"), [("median", "median"), ("mean", "mean"), ("mode", "most_frequent")]
)
def test_imputes_numbers_as_scikit_learn_does(impute: str, strategy: str) -> None:
    expected = SimpleImputer(strategy=strategy).fit_transform(float32(FRAME[NUMBERS]))
    found = features(replace(RAW, impute=impute))
    np.testing.assert_allclose(found[NUMBERS], expected, rtol=1e-7)


def test_imputes_from_neighbours_as_scikit_learn_does() -> None:
    rng = np.random.default_rng(4)
    frame = FRAME.assign(tenure=rng.uniform(0, 72, len(FRAME)), calls=rng.normal(size=len(FRAME)))
    plan = replace(RAW, overrides={"charge": {"impute": "neighbours"}})
    data = fitted(plan, frame).data
    assert data.neighbours is not None
    spread = np.array(data.neighbours.spread)
    imputer = KNNImputer(n_neighbors=5).fit(np.array(data.neighbours.rows) / spread)
    lacking = frame[frame["charge"].isna()]
    expected = imputer.transform(float32(lacking[NUMBERS]) / spread) * spread
    found = transform_frame(Transform(data), SCHEMA, lacking)
    np.testing.assert_allclose(found[:, data.outputs.index("charge")], expected[:, 1], rtol=1e-6)


def test_neighbours_equal_brute_force_on_what_is_stored() -> None:
    plan = replace(RAW, overrides={"charge": {"impute": "neighbours"}})
    stored = fitted(plan).data.neighbours
    assert stored is not None
    rows, spread = np.array(stored.rows), np.array(stored.spread)
    numbers = float32(FRAME[NUMBERS])
    np.testing.assert_array_equal(spread, [np.std(c[~np.isnan(c)]) for c in numbers.T])
    found = features(plan)["charge"].to_numpy()
    for row in np.flatnonzero(np.isnan(numbers[:, 1])):
        known = ~np.isnan(numbers[row])
        far = np.sqrt((((rows - numbers[row]) / spread)[:, known] ** 2).sum(axis=1))
        nearest = np.argsort(far, kind="stable")[:5]
        assert found[row] == pytest.approx(rows[nearest, 1].mean(), rel=1e-6)


def test_at_most_500_rows_are_stored_chosen_by_the_seed() -> None:
    frame = table(900)
    plan = replace(RAW, impute="neighbours")

    def stored(seed: int) -> list[list[float]]:
        neighbours = fit_features(plan, SCHEMA, frame, np.zeros(900), seed).data.neighbours
        assert neighbours is not None
        return [list(row) for row in neighbours.rows]

    assert len(stored(1)) == 500
    assert stored(1) == stored(1)
    assert stored(1) != stored(2)
    complete = {tuple(row) for row in float32(frame[NUMBERS].dropna())}
    assert {tuple(row) for row in stored(1)} <= complete


def test_rows_with_gaps_are_stored_filled_when_too_few_are_complete() -> None:
    frame = FRAME.head(8).assign(charge=[1.0, 2.0, 3.0, *[np.nan] * 5], calls=1.0)
    plan = replace(RAW, overrides={"charge": {"impute": "neighbours"}})
    data = fit_features(plan, SCHEMA, frame, np.zeros(8), 3).data
    assert data.neighbours is not None
    assert [row[1] for row in data.neighbours.rows] == [1.0, 2.0, 3.0, *[2.0] * 5]
    assert data.neighbours.spread[2] == 1.0


@pytest.mark.parametrize("method", ["zscore", "iqr", "quantile"])
def test_clips_outliers_as_pandas_would(method: str) -> None:
    numbers = pd.DataFrame(float32(FRAME[NUMBERS]), columns=NUMBERS)
    first, third = numbers.quantile(0.25), numbers.quantile(0.75)
    low, high = {
        "zscore": (
            numbers.mean() - 3 * numbers.std(ddof=0),
            numbers.mean() + 3 * numbers.std(ddof=0),
        ),
        "iqr": (first - 1.5 * (third - first), third + 1.5 * (third - first)),
        "quantile": (numbers.quantile(0.001), numbers.quantile(0.999)),
    }[method]
    expected = numbers.fillna(numbers.median()).clip(low, high, axis=1)
    assert not expected.equals(numbers.fillna(numbers.median()))
    found = features(replace(RAW, outliers=method))
    np.testing.assert_allclose(found[NUMBERS], expected, rtol=1e-6, atol=1e-5)


def test_outliers_are_kept_where_clipping_would_leave_one_value() -> None:
    frame = FRAME.assign(calls=[1.0, *[0.0] * (len(FRAME) - 1)])
    found = fitted(replace(RAW, outliers="iqr"), frame)
    assert "calls" in found.data.outputs
    assert found.notes == (
        "the outliers of 'calls' are not clipped: iqr would make all of its values the same",
    )


@pytest.mark.parametrize(
    ("scale", "scaler"), [("standard", StandardScaler()), ("minmax", MinMaxScaler())]
)
def test_scales_as_scikit_learn_does(scale: str, scaler: Any) -> None:
    numbers = [*NUMBERS, "region"]
    plan = replace(RAW, overrides={"region": {"encode": "ordinal"}})
    raw, found = features(plan), features(replace(plan, scale=scale))
    np.testing.assert_allclose(
        found[numbers], scaler.fit_transform(raw[numbers]), rtol=1e-5, atol=1e-6
    )
    indicators = [name for name in raw.columns if name not in numbers]
    pd.testing.assert_frame_equal(found[indicators], raw[indicators])


def test_indicators_are_not_scaled() -> None:
    found = features(replace(EVERYTHING, scale="standard"))
    for name in found.columns:
        if "=" in name or "<" in name or name in ("charge_missing", "calls_missing", "paper"):
            assert set(found[name]) == {0.0, 1.0}, name
    assert found["logged_bin"].mean() == pytest.approx(0, abs=1e-6)
    assert found["charge"].min() == pytest.approx(0, abs=1e-6)
    assert found["charge"].max() == pytest.approx(1)


def test_one_hot_encodes_as_scikit_learn_does() -> None:
    mode = FRAME[TEXTS].fillna(FRAME[TEXTS].mode().iloc[0])
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False).fit(mode)
    rows = strangers()
    expected = encoder.transform(rows[TEXTS].replace("", None).fillna(mode.mode().iloc[0]))
    names = [name.replace("_", "=", 1) for name in encoder.get_feature_names_out()]
    found = features(RAW, rows)
    np.testing.assert_array_equal(found[names], expected)
    assert not found.loc[0, [n for n in names if n.startswith("contract=")]].any()


def test_missing_may_be_a_category_of_its_own() -> None:
    found = features(replace(RAW, missing="category"))
    for name in ("contract", "region"):
        np.testing.assert_array_equal(found[f"{name}_missing"], FRAME[name].isna())
        own = [column for column in found.columns if column.startswith(f"{name}=")]
        np.testing.assert_array_equal(found[own].sum(axis=1), FRAME[name].notna())
    assert "paper_missing" not in found.columns


@pytest.mark.parametrize("missing", ["mode", "category"])
def test_ordinal_encodes_as_scikit_learn_does(missing: str) -> None:
    known = FRAME[TEXTS].fillna(FRAME[TEXTS].mode().iloc[0])
    vocabularies = [sorted(known[name].unique()) for name in TEXTS]
    encoder = OrdinalEncoder(
        categories=vocabularies, handle_unknown="use_encoded_value", unknown_value=-1
    ).fit(known)
    plan = replace(RAW, encode="ordinal", missing=missing)
    rows = strangers()
    blank = rows[TEXTS].replace("", None)
    expected = encoder.transform(blank.fillna(known.mode().iloc[0]))
    if missing == "category":
        sizes = np.array([len(vocabulary) for vocabulary in vocabularies], dtype=np.float64)
        expected = np.where(blank.isna(), sizes, expected)
    np.testing.assert_array_equal(features(plan, rows)[TEXTS], expected)
    assert expected[0, 0] == -1


@pytest.mark.parametrize("smoothing", [0.0, 10.0])
def test_target_encodes_as_scikit_learn_does(smoothing: float) -> None:
    plan = replace(RAW, encode="target", missing="category", smoothing=smoothing)
    encoder = TargetEncoder(target_type="binary", smooth=smoothing)
    encoder.fit(FRAME[TEXTS].fillna("nothing"), TARGET)
    rows = strangers()
    expected = encoder.transform(rows[TEXTS].replace("", None).fillna("nothing"))
    found = features(plan, rows)[TEXTS]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert found["contract"][0] == pytest.approx(TARGET.mean(), rel=1e-6)


def test_target_encoding_takes_a_missing_category_for_the_most_frequent() -> None:
    found = features(replace(RAW, encode="target"))
    mode = FRAME["contract"].mode()[0]
    assert found["contract"][FRAME["contract"].isna()].nunique() == 1
    alike = FRAME["contract"].isna() | (FRAME["contract"] == mode)
    assert found["contract"][alike].nunique() == 1


def test_binary_encodes_two_categories_in_one_column() -> None:
    plan = replace(RAW, overrides={"paper": {"encode": "binary"}})
    np.testing.assert_array_equal(features(plan)["paper"], FRAME["paper"] == "yes")
    with pytest.raises(TrimaranError, match="'contract' has 3 in training; use onehot"):
        fitted(replace(RAW, overrides={"contract": {"encode": "binary"}}))


@pytest.mark.parametrize("column", ["tenure", "charge", "calls"])
@pytest.mark.parametrize("count", [2, 4, 10])
def test_quantile_bins_are_those_of_scikit_learn(column: str, count: int) -> None:
    plan = replace(RAW, bins=(Binning(column, count=count, encode="ordinal"),))
    found = fitted(plan)
    filled = features(RAW)[[column]]
    edges = found.data.bins[0].edges
    if np.unique(np.quantile(filled, np.arange(1, count) / count)).size == count - 1:
        expected = KBinsDiscretizer(
            count, encode="ordinal", strategy="quantile", quantile_method="linear"
        ).fit(filled)
        assert edges == expected.bin_edges_[0][1:-1].tolist()
        np.testing.assert_array_equal(features(plan)[[f"{column}_bin"]], expected.transform(filled))
    else:
        assert found.notes == (
            f"{column!r} has {len(edges) + 1} bins instead of {count}: many of its training values "
            "are the same",
        )


def test_bins_by_edges_are_those_of_pandas() -> None:
    plan = replace(RAW, bins=(Binning("tenure", edges=(12, 24.5, 48)),))
    names = ["tenure<12", "12<=tenure<24.5", "24.5<=tenure<48", "tenure>=48"]
    cut = pd.cut(FRAME["tenure"], [-np.inf, 12, 24.5, 48, np.inf], right=False, labels=names)
    np.testing.assert_array_equal(features(plan)[names], pd.get_dummies(cut)[names])


def test_derived_columns_are_computed_from_earlier_columns() -> None:
    found = features(
        replace(
            EVERYTHING,
            scale=None,
            outliers=None,
            overrides={},
            derived=(
                Derived("ratio", "ratio", ("charge", "tenure")),
                Derived("logged", "log", ("ratio",)),
                Derived("yearly", "product", ("contract=year", "calls")),
                Derived("apart", "difference", ("yearly", "charge_missing")),
            ),
            leave_out=(),
        )
    )
    with np.errstate(divide="ignore"):
        ratio = np.where(found["tenure"] == 0, 0.0, found["charge"] / found["tenure"])
    np.testing.assert_allclose(found["ratio"], ratio, rtol=1e-6)
    np.testing.assert_allclose(found["logged"], np.log1p(ratio), rtol=1e-6)
    np.testing.assert_array_equal(found["yearly"], found["contract=year"] * found["calls"])
    np.testing.assert_array_equal(found["apart"], found["yearly"] - found["charge_missing"])


def test_missing_numbers_are_flagged() -> None:
    found = features(replace(RAW, flag_missing=True))
    for name in ("charge", "calls"):
        np.testing.assert_array_equal(found[f"{name}_missing"], FRAME[name].isna())
    assert "tenure_missing" not in found.columns


def test_a_listed_flag_is_always_there() -> None:
    result = fitted(replace(RAW, flag_missing=("tenure", "calls")))
    flags = [name for name in result.data.outputs if name.endswith("_missing")]
    assert flags == ["tenure_missing", "calls_missing"]
    assert result.notes == (
        "the column 'tenure_missing' is fixed at 0: it is the same in all training rows",
    )
    rows = FRAME.assign(tenure=np.nan)
    assert not features(replace(RAW, flag_missing=("tenure",)), rows)["tenure_missing"].any()


def test_fields_that_lack_too_much_are_dropped_with_all_that_is_made_of_them() -> None:
    lacking = np.arange(len(FRAME)) % 10 < 8
    frame = FRAME.assign(
        charge=FRAME["charge"].where(~lacking), contract=FRAME["contract"].where(~lacking, None)
    )
    derived = (
        Derived("sum", "sum", ("charge", "tenure")),
        Derived("sum_logged", "log", ("sum",)),
        Derived("life", "product", ("contract=life", "calls")),
        Derived("kept", "log", ("calls",)),
    )
    bins = (Binning("sum", count=3), Binning("charge", edges=(1,)), Binning("kept", count=2))
    plan = replace(RAW, flag_missing=True, impute="neighbours", derived=derived, bins=bins)
    result = fitted(plan, frame)
    outputs = result.data.outputs
    assert not [name for name in outputs if name.startswith(("charge", "contract", "sum", "life"))]
    assert "kept" in outputs
    for name, share in (("charge", "8"), ("contract", "8")):
        assert [
            note
            for note in result.notes
            if re.match(f"the field '{name}' was dropped: {share}", note)
        ]
    assert "the derived column 'sum' was dropped: it is of 'charge', which was dropped" in (
        result.notes
    )
    assert "the bins of 'sum' were dropped, as that column was" in result.notes
    before = transform_frame(Transform(result.data), SCHEMA, FRAME)
    other = FRAME.assign(charge=7e5, contract="life")
    after = transform_frame(Transform(result.data), SCHEMA, other)
    np.testing.assert_array_equal(before, after)
    assert not fitted(replace(RAW, max_missing=0.95), frame).notes


def test_a_field_at_the_limit_is_kept() -> None:
    frame = FRAME.assign(charge=FRAME["charge"].fillna(1.0).where(np.arange(len(FRAME)) % 10 >= 7))
    assert "charge" in fitted(RAW, frame).data.outputs


def test_columns_that_do_not_vary_are_dropped_with_a_note() -> None:
    result = fitted(replace(RAW, scale="standard"), FRAME.assign(calls=3.0, region="a"))
    assert not {"calls", "region=a"} & set(result.data.outputs)
    assert result.notes == (
        "the column 'calls' was dropped: it is the same in all training rows",
        "the column 'region=a' was dropped: it is the same in all training rows",
    )


def test_columns_left_out_still_feed_others() -> None:
    plan = replace(
        RAW,
        derived=(Derived("logged", "log", ("charge",)),),
        leave_out=("charge", "contract", "region=a"),
    )
    outputs = fitted(plan).data.outputs
    assert "logged" in outputs
    assert not [n for n in outputs if n in ("charge", "region=a") or n.startswith("contract")]


def test_nothing_left_for_the_model_is_refused() -> None:
    with pytest.raises(TrimaranError, match=r"^no column is left for the model"):
        fitted(replace(RAW, leave_out=(*NUMBERS, *TEXTS)))


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (TARGET[1:], "the target has the shape [399], and the table has 400 rows"),
        (TARGET * np.nan, "the target holds values that are no numbers"),
    ],
)
def test_a_target_that_does_not_fit_is_refused(target: npt.ArrayLike, message: str) -> None:
    with pytest.raises(TrimaranError, match=f"^{re.escape(message)}"):
        fitted(RAW, FRAME, target)


def test_no_rows_are_refused() -> None:
    with pytest.raises(TrimaranError, match=r"^there are no training rows"):
        fitted(RAW, FRAME.head(0), [])


def test_columns_without_values_have_safe_values() -> None:
    nothing = np.empty(0)
    assert columns.fill_value(nothing, "mean") == 0
    assert columns.outlier_bounds(nothing, "zscore") is None
    for encode, width in (("onehot", 0), ("ordinal", 1), ("target", 1), ("binary", 1)):
        found = columns.category(
            "x", [None, None], np.array([0, 1]), encode=encode, missing="mode", smoothing=0
        )
        assert [len(row) for row in found.table] == [width, width]
