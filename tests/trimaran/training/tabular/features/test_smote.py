from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.trimaran.training.tabular.customers import FAST, FAST_TABNET, SCHEMA, frame, recipe
from trimaran.served.transform import Derived, Transform
from trimaran.system.errors import TrimaranError
from trimaran.training.recipes import recipe as recipe_of
from trimaran.training.tabular.data.schema import FieldSchema, Schema
from trimaran.training.tabular.data.sources import Dataset
from trimaran.training.tabular.data.split import stratified_split
from trimaran.training.tabular.features.fit import fit_features, transform_frame
from trimaran.training.tabular.features.plan import FeaturePlan
from trimaran.training.tabular.features.smote import with_smote
from trimaran.training.tabular.learning.hyperparameters import ESTIMATORS, Hyperparameters
from trimaran.training.tabular.learning.learn import Problem, learn
from trimaran.training.tabular.tasks.multiclass import Multiclass
from trimaran.training.tabular.tasks.regression import Regression

MODELS = {
    "mlp": replace(FAST, epochs=8),
    "tabnet": replace(FAST_TABNET, epochs=3),
    **{name: Hyperparameters(network=name) for name in ESTIMATORS},
}


def balanced(
    schema: Schema, table: pd.DataFrame, outcomes: np.ndarray, plan: FeaturePlan
) -> tuple[pd.DataFrame, pd.DataFrame, np.ndarray]:
    """The features of a table's rows, those of made-up ones, and the outcomes of the latter."""
    transform = Transform(fit_features(plan, schema, table, None, 0).data)
    features = transform_frame(transform, schema, table)
    every, labels = with_smote(transform, schema, table, features, outcomes, 0)
    rows = len(table)
    np.testing.assert_array_equal(every[:rows], features)
    np.testing.assert_array_equal(labels[:rows], outcomes)
    assert len(set(np.bincount(labels))) == 1
    own = pd.DataFrame(every, columns=transform.outputs)
    return own[:rows], own[rows:], labels[rows:]


def test_made_up_rows_are_such_as_a_record_could_give() -> None:
    table = frame()
    left = table["left"] == "yes"
    table.loc[left & (table["plan"] == "full"), "minutes"] = np.nan
    both = Derived("both", "sum", ("calls", "minutes"))
    plan = FeaturePlan(scale=None, derived=(both,))
    real, made, outcomes = balanced(SCHEMA, table, SCHEMA.outcomes(table), plan)
    assert outcomes.all()
    plans = [name for name in made.columns if name.startswith("plan=")]
    assert made[plans].isin([0, 1]).all(axis=None)
    assert (made[plans].sum(axis=1) == 1).all()
    missing = made["minutes_missing"] == 1
    assert 0 < missing.sum() < len(made)
    assert made["minutes"][missing].nunique() == 1
    assert (made["calls"] == made["calls"].round()).all()
    np.testing.assert_allclose(made["both"], made["calls"] + made["minutes"], rtol=1e-6)
    rarer = real["noise"][left]
    assert made["noise"].between(rarer.min() - 1e-5, rarer.max() + 1e-5).all()
    assert made["noise"].nunique() == len(made)


@pytest.mark.parametrize("kind", ["number", "category"])
def test_a_table_of_one_kind_of_field_and_three_classes(kind: str) -> None:
    generator = np.random.default_rng(0)
    target = np.repeat([0, 1, 2], [100, 40, 20])
    values = np.round(target + generator.normal(0, 0.4, (2, 160)))
    table = pd.DataFrame({"x": values[0], "y": values[1]})
    if kind == "category":
        table = table.astype(str).astype(object)
    fields = tuple(FieldSchema(name, kind) for name in ("x", "y"))
    schema = Schema("s", "t", Multiclass(), fields)
    _, made, outcomes = balanced(schema, table, target, FeaturePlan())
    assert np.bincount(outcomes).tolist() == [0, 60, 80]
    assert len(made) == 140


def test_made_up_records_have_their_dates_and_texts_from_real_ones() -> None:
    generator = np.random.default_rng(0)
    rare = np.arange(400) < 40
    days = 20_000 + generator.integers(0, 60, 400) * 7.0 + np.where(rare, 3, generator.integers(7))
    joined = np.where(generator.random(400) < 0.3, np.nan, days - generator.integers(1, 300, 400))
    words = np.array(["engine shut down", "nothing was found"], dtype=object)
    table = pd.DataFrame(
        {
            "x": generator.normal(size=400),
            "plan": np.array(["a", "b"], dtype=object)[generator.integers(0, 2, 400)],
            "seen": days,
            "joined": joined,
            "said": words[(generator.random(400) < np.where(rare, 0.2, 0.8)).astype(int)],
        }
    )
    table.loc[rare & (table["plan"] == "b"), "said"] = None
    kinds = {"x": "number", "plan": "category", "seen": "date", "joined": "date", "said": "text"}
    fields = tuple(FieldSchema(name, kind) for name, kind in kinds.items())
    fields = (*fields[:3], replace(fields[3], as_of="seen"), fields[4])
    schema = Schema("s", "t", Multiclass(), fields)
    plan = FeaturePlan(scale=None, flag_missing=True)
    real, made, outcomes = balanced(schema, table, rare.astype(np.int64), plan)
    assert outcomes.all()
    assert len(made) == 320
    assert made["x"].nunique() > 300
    drawn = [name for name in made.columns if name.partition("_")[0] in ("seen", "joined")]
    drawn += [name for name in made.columns if name.startswith("said~")]
    assert {"seen_weekday", "joined_days", "joined_missing", "said~engine shut"} <= {*drawn}
    known = set(map(tuple, real.loc[rare, drawn].to_numpy()))
    assert set(map(tuple, made[drawn].to_numpy())) <= known
    assert len(made[drawn].drop_duplicates()) > 20
    only = replace(schema, fields=fields[4:])
    with pytest.raises(TrimaranError, match="the table has texts only; train with --imbalance res"):
        balanced(only, table.fillna({"said": "x"}), rare.astype(np.int64), plan)
    with pytest.raises(TrimaranError, match="the table has texts only"):
        recipe_of("t", only, "linear", "smote")


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    "imbalance",
    [
        pytest.param("weights", marks=pytest.mark.long),
        pytest.param("resample", marks=pytest.mark.long),
        "smote",
    ],
)
def test_every_model_finds_more_of_the_rarest_class(model: str, imbalance: str) -> None:
    table = frame(400)
    rule = table["calls"] + np.random.default_rng(1).normal(0, 1.5, len(table))
    table["left"] = np.array(["a", "b", "c"], dtype=object)[np.digitize(rule, [2.5, 4.5])]
    about = Problem.of(Dataset(table, replace(SCHEMA, task=Multiclass()), "made-up customers"))
    split = stratified_split(about.strata, 0)
    plain, balanced = (
        learn(about, split, recipe().plan, replace(MODELS[model], imbalance=name), 0)
        for name in ("none", imbalance)
    )
    tested = about.rows(split.test)
    rarest = [one.predictions(one.features(tested))[:, 2].mean() for one in (plain, balanced)]
    assert rarest[1] > rarest[0]
    assert len(balanced.train_features) == len(split.train)


def test_a_number_cannot_be_balanced() -> None:
    table = frame(100)
    fields = tuple(field for field in SCHEMA.fields if field.name != "minutes")
    schema = replace(SCHEMA, target="minutes", task=Regression(), fields=fields)
    table["minutes"] = table["minutes"].fillna(100.0)
    about = Problem(table, schema, table["minutes"].to_numpy())
    hyper = Hyperparameters(network="linear", imbalance="smote")
    with pytest.raises(TrimaranError, match="the target is a number; train without --imbalance"):
        learn(about, stratified_split(about.strata, 0), recipe().plan, hyper, 0)
    with pytest.raises(TrimaranError, match="the target is a number; train without --imbalance"):
        recipe_of("t", schema, "linear", "weights")
