"""Steps by name, and steps that a pipeline brings with it."""

from __future__ import annotations

import pytest

from ensembles.image_classifier import image_preprocess
from ensembles.pipeline import Ensemble, Pipeline, PythonModel, Step, tensor
from tests.ensembles.brightness import brightness
from trimaran.publishing.releases import check_wiring
from trimaran.system.errors import UsageError
from trimaran.training.efficientnet_lite0 import SETTINGS

X, Y = tensor("X", "FP32", 1), tensor("Y", "FP32", 1)


def model(name: str) -> PythonModel:
    return PythonModel(name, [X], [Y])


def pipeline(*steps: Step, models: tuple[PythonModel, ...] = ()) -> Pipeline:
    return Pipeline(Ensemble("whole", [X], [Y], steps), models)


def test_a_pipeline_has_the_models_of_its_steps_once_and_further_ones() -> None:
    first, second = model("first"), model("second")
    steps = [
        Step(first, {"X": "X"}, {"Y": "one"}),
        Step("network_onnx", {"x": "one"}, {"y": "two"}),
        Step(first, {"X": "two"}, {"Y": "three"}),
        Step("second", {"X": "three"}, {"Y": "Y"}),
    ]
    made = pipeline(*steps, models=(second, first))
    assert made.python_models() == [first, second]
    config = made.ensemble.config()
    assert [step.model_name for step in config.ensemble_scheduling.step] == [
        *("first", "network_onnx", "first", "second"),
    ]


def test_an_included_step_and_a_function_are_wired_alike() -> None:
    included = image_preprocess("decoded", SETTINGS)
    steps = [
        Step(included, {"IMAGE": "X"}, {"PIXELS": "pixels"}),
        Step(brightness, {"pixels": "pixels"}, {"brightness": "Y"}),
    ]
    made = Pipeline(Ensemble("whole", [tensor("X", "BYTES", 1)], [Y], steps))
    models = made.python_models()
    assert [each.name for each in models] == ["decoded", "brightness"]
    check_wiring(made.ensemble.config(), {each.name: each.config() for each in models})


def test_two_models_of_one_name_are_refused() -> None:
    steps = [Step(model("a"), {"X": "X"}, {"Y": "b"}), Step(model("a"), {"X": "b"}, {"Y": "Y"})]
    with pytest.raises(UsageError, match="the pipeline whole has two models called a; give one"):
        pipeline(*steps).python_models()


def test_a_plain_function_is_no_step() -> None:
    def double(x: object) -> object:
        return x

    with pytest.raises(UsageError, match=r"the step double is a function; .* python_step"):
        Step(double, {"X": "X"}, {"Y": "Y"})  # type: ignore[arg-type]
