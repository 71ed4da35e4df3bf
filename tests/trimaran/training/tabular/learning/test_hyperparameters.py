from __future__ import annotations

import json

import pytest

from trimaran.system.errors import TrimaranError
from trimaran.training.tabular.learning.hyperparameters import Hyperparameters


def test_json_gives_back_the_same() -> None:
    hyper = Hyperparameters(network="tabnet", learning_rate=1 / 3, imbalance="weights")
    assert Hyperparameters.from_dict(json.loads(json.dumps(hyper.as_dict()))) == hyper


def test_what_is_left_out_is_the_default() -> None:
    assert Hyperparameters.from_dict({"hidden": 7}) == Hyperparameters(hidden=7)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"hiden": 7}', "no hyperparameter 'hiden'"),
        ('{"hidden": "7"}', "expected int"),
        ('{"hidden": true}', "expected int"),
        ('{"hidden": 7.5}', "expected int"),
        ('{"hidden": 0}', "between 1 and"),
        ('{"dropout": 1}', "between 0"),
        ('{"learning_rate": NaN}', "between"),
        ('{"network": "cnn"}', "must be one of mlp, tabnet"),
        ('{"imbalance": "half"}', "must be one of none, weights, resample, smote"),
    ],
)
def test_other_values_are_refused(text: str, message: str) -> None:
    with pytest.raises(TrimaranError, match=message):
        Hyperparameters.from_dict(json.loads(text))
