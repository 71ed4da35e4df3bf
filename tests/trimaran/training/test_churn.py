from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from ensembles.churn import ensemble, record
from exporters.churn import model
from exporters.export import export_model
from exporters.original import run_original
from tests.trimaran.training.tabular.customers import FAST_TABNET, SCHEMA, problem, recipe
from trimaran.repository.repository import Repository
from trimaran.served.transform import Transform
from trimaran.system.errors import TrimaranError
from trimaran.training import churn
from trimaran.training.churn_recipe import MODELS
from trimaran.training.churn_recipe import recipe as recipe_of
from trimaran.training.tabular.data.sources import load
from trimaran.training.tabular.features.fit import fit_features, transform_frame
from trimaran.training.tabular.features.plan import FeaturePlan
from trimaran.training.tabular.learning.learn import Problem
from trimaran.training.tabular.runs.run import train
from trimaran.training.tabular.runs.trained import TrainedRun, name_latest


@pytest.fixture(scope="module", params=["mlp", "tabnet"])
def finished(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> TrainedRun:
    out = tmp_path_factory.mktemp("work") / "runs"
    return train(problem(), recipe() if request.param == "mlp" else recipe(FAST_TABNET), 0, out)


@pytest.fixture
def chosen(finished: TrainedRun, monkeypatch: pytest.MonkeyPatch) -> TrainedRun:
    monkeypatch.delenv(churn.RUN_VARIABLE, raising=False)
    monkeypatch.chdir(finished.directory.parent.parent.parent)
    name_latest(finished)
    return finished


def test_without_a_run_the_command_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(churn.RUN_VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    for factory in (model, ensemble, record):
        with pytest.raises(TrimaranError, match="no trained churn model in runs/churn; train one"):
            factory()


def test_the_variable_names_a_run(
    finished: TrainedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    copied = tmp_path / "elsewhere"
    shutil.copytree(finished.directory, copied)
    monkeypatch.setenv(churn.RUN_VARIABLE, str(copied))
    assert churn.trained().directory == copied
    (copied / "metrics.json").unlink()
    with pytest.raises(TrimaranError, match="is not a finished run"):
        churn.trained()


def test_the_exported_model_answers_as_the_run_did(chosen: TrainedRun, tmp_path: Path) -> None:
    spec = model()
    assert spec.name == "churn"
    result = export_model(
        run_original(spec, 256), "onnx", Repository.create(tmp_path), "churn", lambda stage: None
    )
    assert result.parity.passed
    about = problem()
    features = transform_frame(
        Transform.read(chosen.directory / "transform.json"), about.schema, about.frame
    )
    session = onnxruntime.InferenceSession(tmp_path / "churn_onnx" / "1" / "model.onnx")
    probability, prediction = session.run(["probability", "prediction"], {"features": features})
    assert probability.shape == prediction.shape == (600, 1)
    assert (probability.dtype, prediction.dtype) == (np.float32, np.bool_)
    with torch.no_grad():
        expected = spec.module(torch.from_numpy(features))
    np.testing.assert_allclose(probability, expected[0].numpy(), atol=1e-5)
    np.testing.assert_array_equal(prediction, expected[1].numpy())
    assert 0 < prediction.sum() < 600


def test_both_forms_carry_the_transform(chosen: TrainedRun) -> None:
    fields, by_text = ensemble(), record()
    assert fields.ensemble.name == "churn"
    assert by_text.name == "churn_record"
    text = (chosen.directory / "transform.json").read_bytes()
    for made in (*fields.models, by_text):
        assert made.files["transform.json"] == text


def test_publishing_an_ensemble_needs_no_torch() -> None:
    code = (
        "import sys, ensembles.churn; sys.exit('torch' in sys.modules or 'pandas' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


def test_another_table_gets_the_plain_plan() -> None:
    found = recipe_of(SCHEMA, "tabnet", "weights")
    assert (found.plan.impute, found.plan.outliers, found.plan.encode) == (
        "median",
        "iqr",
        "onehot",
    )
    assert (found.goal, found.caveat) == (None, None)
    assert (found.hyper.network, found.hyper.imbalance) == ("tabnet", "weights")


NUMBER = {"kind": "number", "values": None}
CATEGORY = {"kind": "category", "least": None, "most": None, "whole": False}


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("international_plan", NUMBER),
        ("voice_mail_plan", {"values": ("no", "yes", "perhaps")}),
        ("number_customer_service_calls", CATEGORY),
        ("total_day_charge", CATEGORY),
        ("account_length", {"name": "total_charge"}),
    ],
)
def test_fields_of_the_same_names_and_other_kinds_get_the_plain_plan(
    name: str, options: dict[str, object]
) -> None:
    schema = load("mlc_churn").schema
    assert recipe_of(schema, "mlp").plan.derived
    fields = [
        replace(field, **options) if field.name == name else field  # type: ignore[arg-type]
        for field in schema.fields
    ]
    found = recipe_of(replace(schema, fields=tuple(fields)), "mlp")
    assert found.plan == FeaturePlan(outliers="iqr")
    assert (found.goal, found.caveat) == (None, None)


def test_the_public_table_gets_fifteen_features() -> None:
    about = Problem.of(load("mlc_churn"))
    found = recipe_of(about.schema, "mlp")
    assert found.goal == 0.92
    assert found.caveat is not None
    assert "too good" in found.caveat
    assert found.hyper == MODELS["mlp"]
    fitted = fit_features(found.plan, about.schema, about.frame, about.target, 0)
    assert len(fitted.data.outputs) == 15
    assert not fitted.notes
    frame = about.frame.head(200)
    features = transform_frame(Transform(fitted.data), about.schema, frame)
    at = fitted.data.outputs.index("total_charge_per_service_call")
    charge = frame[[f"total_{time}_charge" for time in ("day", "eve", "night", "intl")]].sum(axis=1)
    expected = charge / (1 + frame["number_customer_service_calls"])
    value = features[:, at] / fitted.data.factor[at] + fitted.data.shift[at]
    inside = np.abs(value - expected) < 1e-3
    assert inside.mean() > 0.95
