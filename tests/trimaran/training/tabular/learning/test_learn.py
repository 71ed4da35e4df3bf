"""That a model learns, that it cannot from a shuffled outcome, and that it never sees the test."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.trimaran.training.tabular.customers import FAST, FAST_TABNET, frame, problem, recipe
from trimaran.training.tabular.data.split import Split, stratified_split
from trimaran.training.tabular.evaluation.importance import permutation_importance
from trimaran.training.tabular.evaluation.metrics import always_yes_f1
from trimaran.training.tabular.learning.evaluate import evaluate, evaluate_model
from trimaran.training.tabular.learning.hyperparameters import Hyperparameters
from trimaran.training.tabular.learning.learn import Learned, Problem, learn


def learnt(about: Problem, split: Split, hyper: Hyperparameters = FAST, seed: int = 0) -> Learned:
    return learn(about, split, recipe().plan, hyper, seed)


SMOTE = Hyperparameters(network="linear", imbalance="smote")


@pytest.mark.parametrize(
    "hyper",
    [
        pytest.param(FAST, id="mlp"),
        pytest.param(FAST_TABNET, id="tabnet", marks=pytest.mark.long),
        pytest.param(SMOTE, id="smote"),
    ],
)
def test_garbage_in_the_test_rows_changes_nothing(hyper: Hyperparameters) -> None:
    about = problem()
    split = stratified_split(about.strata, 0)
    table, target = about.frame.copy(), about.target.copy()
    table.loc[split.test, ["calls", "minutes", "noise"]] = 1e30
    table.loc[split.test, "plan"] = "garbage"
    target[split.test] = ~target[split.test]
    clean = learnt(about, split, hyper)
    spoilt = learnt(replace(about, frame=table, target=target), split, hyper)
    assert spoilt.data.to_json() == clean.data.to_json()
    assert spoilt.chosen == clean.chosen
    assert spoilt.fitted.history == clean.fitted.history
    for one, other in zip(spoilt.edges, clean.edges, strict=True):
        assert one.tobytes() == other.tobytes()
    weights = clean.fitted.network.state_dict()
    for name, weight in spoilt.fitted.network.state_dict().items():
        assert weight.numpy().tobytes() == weights[name].numpy().tobytes(), name


def test_garbage_in_the_test_rows_changes_neither_baselines_nor_importance() -> None:
    about = problem()
    split = stratified_split(about.strata, 0)
    model = learnt(about, split)
    table, target = about.frame.copy(), about.target.copy()
    table.loc[split.test, ["calls", "minutes", "noise"]] = [100, 1000, 100]
    target[split.test] = ~target[split.test]
    clean = evaluate(about, split, model, 0, {})
    spoilt = evaluate(replace(about, frame=table, target=target), split, model, 0, {})
    assert spoilt.importance == clean.importance
    assert spoilt.baselines.keys() == clean.baselines.keys()
    for name, scores in spoilt.baselines.items():
        assert scores.validation == clean.baselines[name].validation  # with the threshold
        assert scores.test != clean.baselines[name].test


def test_garbage_in_a_training_row_changes_something() -> None:
    about = problem()
    split = stratified_split(about.strata, 0)
    table = about.frame.copy()
    table.loc[split.train[:50], "noise"] = 99.0
    spoilt = learnt(replace(about, frame=table), split)
    assert spoilt.data.to_json() != learnt(about, split).data.to_json()


@pytest.mark.long
def test_a_shuffled_outcome_is_not_learnt() -> None:
    scores, chances, honest = [], [], []
    for seed in range(3):
        about = problem(1500)
        split = stratified_split(about.strata, seed)
        honest.append(evaluate_model(about, split, learnt(about, split), seed)[0].test.f1)
        shuffled = np.random.default_rng(seed).permutation(about.target)
        about = replace(about, target=shuffled)
        split = stratified_split(about.strata, seed)
        model = evaluate_model(about, split, learnt(about, split), seed)[0]
        scores.append(model.test.f1)
        chances.append(always_yes_f1(shuffled[split.test]))
        assert 0.38 < model.test.roc_auc < 0.62
    assert np.mean(scores) < np.mean(chances) + 0.05
    assert np.mean(honest) > np.mean(chances) + 0.25


def test_importance_is_of_the_fields_that_the_outcome_follows() -> None:
    about = problem(1500)
    split = stratified_split(about.strata, 0)
    model = learnt(about, split)

    def importance(seed: int) -> list[str]:
        found = permutation_importance(
            lambda rows: about.task.measure(
                about.target[split.validation],
                model.predictions(model.features(rows)),
                model.chosen,
            ),
            about.rows(split.validation),
            ["noise", "calls", "minutes", "plan"],
            seed,
        )
        assert all(one.loss_rise > 0.02 for one in found[:2])
        assert next(abs(one.loss_rise) for one in found if one.field == "noise") < 0.02
        return [one.field for one in found]

    assert set(importance(0)[:2]) == {"calls", "minutes"}
    assert importance(1) == importance(1)


def test_a_judgement_says_everything() -> None:
    about = problem()
    split = stratified_split(about.strata, 0)
    found = evaluate(about, split, learnt(about, split), 0, {"calls": (2, 4)})
    low, high = found.interval
    assert low <= found.model.test.f1 <= high
    assert list(found.baselines) == ["logistic regression", "random forest", "gradient boosting"]
    assert found.predictions.shape == (600,)
    assert not np.isnan(found.predictions).any()
    assert {one.field for one in found.segments} == {"calls", "plan"}
    assert found.model.test.rows == 90
    assert len(frame()) == 600
