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

from ensembles.pipeline import Pipeline, PythonModel
from ensembles.tabular_classifier import models_of
from exporters.export import export_model
from exporters.original import run_original
from exporters.tables import model_of
from tests.trimaran.training.tabular.customers import FAST, FAST_TABNET, SCHEMA, problem, recipe
from trimaran.repository.repository import Repository
from trimaran.served.transform import Transform
from trimaran.system.errors import TrimaranError
from trimaran.training.recipes import MODELS
from trimaran.training.recipes import recipe as recipe_of
from trimaran.training.tabular.data.sources import load
from trimaran.training.tabular.features.fit import fit_features, transform_frame
from trimaran.training.tabular.features.plan import FeaturePlan
from trimaran.training.tabular.learning.hyperparameters import Hyperparameters
from trimaran.training.tabular.learning.learn import Problem
from trimaran.training.tabular.runs.run import train
from trimaran.training.tabular.runs.trained import TrainedRun, name_latest, named_run


@pytest.fixture(
    scope="module",
    params=[
        "mlp",
        pytest.param("tabnet", marks=pytest.mark.long),
        pytest.param("boosting", marks=pytest.mark.long),
    ],
)
def finished(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> TrainedRun:
    out = tmp_path_factory.mktemp("work") / "runs"
    hyper = {"mlp": FAST, "tabnet": FAST_TABNET, "boosting": Hyperparameters(network="boosting")}
    return train(problem(), recipe(hyper[request.param]), 0, out)


def test_a_run_is_named_by_its_directory_and_as_the_latest(
    finished: TrainedRun, tmp_path: Path
) -> None:
    name_latest(finished)
    family = finished.directory.parent
    for place in (finished.directory, family, family / "latest"):
        assert named_run(str(place)).directory == finished.directory
    copied = tmp_path / "elsewhere"
    shutil.copytree(finished.directory, copied)
    assert named_run(str(copied)).name == finished.name == "churn"
    (copied / "metrics.json").unlink()
    with pytest.raises(TrimaranError, match="is not a finished run"):
        named_run(str(copied))
    with pytest.raises(TrimaranError, match="; train one with 'trimaran train TABLE'"):
        named_run(str(tmp_path / "latest"))


def test_the_exported_model_answers_as_the_run_did(finished: TrainedRun, tmp_path: Path) -> None:
    spec = model_of(finished)
    assert (spec.name, spec.max_batch_size) == ("churn", 1024)
    result = export_model(run_original(spec, 256), "onnx", Repository.create(tmp_path), "tests")
    assert result.parity.passed
    about = problem()
    features = transform_frame(
        Transform.read(finished.directory / "transform.json"), about.schema, about.frame
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


def test_all_forms_carry_the_transform(finished: TrainedRun) -> None:
    fields, by_text, outcomes = models_of(finished)
    assert isinstance(fields, Pipeline)
    assert isinstance(by_text, PythonModel)
    assert isinstance(outcomes, PythonModel)
    names = (fields.ensemble.name, by_text.name, outcomes.name)
    assert names == ("churn", "churn_record", "churn_feedback")
    text = (finished.directory / "transform.json").read_bytes()
    (features,) = fields.python_models()
    assert isinstance(features, PythonModel)
    for made in (features, by_text):
        assert made.files["transform.json"] == text


def test_publishing_a_run_needs_no_torch() -> None:
    code = (
        "import sys, ensembles.publish; sys.exit('torch' in sys.modules or 'pandas' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


def test_another_table_gets_the_plain_plan() -> None:
    found = recipe_of("customers", SCHEMA, "tabnet", "weights")
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
    assert recipe_of("churn", schema, "mlp").plan.derived
    fields = [
        replace(field, **options) if field.name == name else field  # type: ignore[arg-type]
        for field in schema.fields
    ]
    found = recipe_of("churn", replace(schema, fields=tuple(fields)), "mlp")
    assert found.plan == FeaturePlan(outliers="iqr")
    assert (found.goal, found.caveat) == (None, None)


def test_the_public_table_gets_fifteen_features() -> None:
    about = Problem.of(load("mlc_churn"))
    found = recipe_of("churn", about.schema, "mlp")
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
