from __future__ import annotations

import lightgbm
import numpy as np
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

from exporters.export import export_model
from exporters.original import run_original
from exporters.spec import ModelSpec
from trimaran.repository.repository import Repository
from trimaran.training.tabular.learning.trees import (
    TreeEnsemble,
    lightgbm_trees,
    of_trees,
    sklearn_trees,
)

GENERATOR = np.random.default_rng(0)
FEATURES = GENERATOR.normal(size=(400, 5)).astype(np.float32)
FEATURES[:, 0] = np.round(FEATURES[:, 0], 1)  # splits fall between equal values
NUMBERS = (FEATURES[:, 0] * 2 + np.sin(FEATURES[:, 1] * 3)).astype(np.float64)
CLASSES = np.digitize(NUMBERS, [-1.0, 1.0])


def scores(module: TreeEnsemble, features: np.ndarray = FEATURES) -> np.ndarray:
    with torch.no_grad():
        found: np.ndarray = module(torch.from_numpy(features)).numpy()
    return found


@pytest.mark.parametrize(
    "target", [pytest.param("two classes", marks=pytest.mark.long), "three classes", "a number"]
)
def test_a_boosted_ensemble_scores_as_lightgbm_does(target: str) -> None:
    if target == "a number":
        model = lightgbm.LGBMRegressor(n_estimators=30, verbose=-1).fit(FEATURES, NUMBERS)
    else:
        wanted = CLASSES if target == "three classes" else CLASSES > 0
        model = lightgbm.LGBMClassifier(n_estimators=30, verbose=-1).fit(FEATURES, wanted)
    module = of_trees(lightgbm_trees(model.booster_.dump_model()))
    expected = model.booster_.predict(FEATURES, raw_score=True).reshape(len(FEATURES), -1)
    np.testing.assert_allclose(scores(module), expected, rtol=1e-5, atol=1e-6)


def test_a_forest_answers_as_scikit_learn_does() -> None:
    forest = RandomForestClassifier(20, random_state=0).fit(FEATURES, CLASSES)
    module = of_trees(sklearn_trees(forest.estimators_))
    np.testing.assert_allclose(scores(module), forest.predict_proba(FEATURES), atol=1e-6)
    regressor = RandomForestRegressor(20, random_state=0).fit(FEATURES, NUMBERS)
    module = of_trees(sklearn_trees(regressor.estimators_))
    np.testing.assert_allclose(scores(module)[:, 0], regressor.predict(FEATURES), atol=1e-5)


def test_a_feature_at_a_threshold_goes_where_it_goes_in_float64() -> None:
    forest = RandomForestRegressor(1, bootstrap=False, random_state=0).fit(FEATURES, NUMBERS)
    module = of_trees(sklearn_trees(forest.estimators_))
    tree = forest.estimators_[0].tree_
    rows = np.repeat(FEATURES[:1], 3 * tree.node_count, axis=0)
    for node in np.flatnonzero(tree.children_left >= 0):
        near = np.float32(tree.threshold[node])
        around = [near, np.nextafter(near, np.float32(np.inf)), np.nextafter(near, -near)]
        rows[3 * node : 3 * node + 3, tree.feature[node]] = around
    expected = forest.predict(rows)
    np.testing.assert_allclose(scores(module, rows)[:, 0], expected, atol=1e-5)


def test_a_tree_without_a_split_is_its_leaf() -> None:
    model = lightgbm.LGBMRegressor(n_estimators=3, verbose=-1).fit(FEATURES[:4], NUMBERS[:4])
    module = of_trees(lightgbm_trees(model.booster_.dump_model()))
    assert module.steps == 0
    np.testing.assert_allclose(scores(module)[:, 0], model.predict(FEATURES), rtol=1e-6)


@pytest.mark.long
def test_it_passes_the_gate_of_an_export(empty_repository: Repository) -> None:
    model = lightgbm.LGBMClassifier(n_estimators=20, verbose=-1).fit(FEATURES, CLASSES)
    module = of_trees(lightgbm_trees(model.booster_.dump_model()))
    spec = ModelSpec("boosted", module, {"features": torch.from_numpy(FEATURES[:2])}, ["scores"])
    result = export_model(run_original(spec, 64), "onnx", empty_repository, "tests")
    assert result.parity.passed, result.parity.problem
