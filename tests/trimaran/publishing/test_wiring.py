"""Which step maps fit, and how those that do not are refused."""

from __future__ import annotations

import pytest

from tests.trimaran.versions import model_config, tensor
from trimaran.publishing.releases import check_wiring, step_models
from trimaran.repository.config import ModelConfig, add_tensors
from trimaran.repository.dtypes import TensorSpec
from trimaran.system.errors import ConfigError

IMAGE = tensor("IMAGE", "BYTES", 1)
PIXELS = tensor("pixels", "FP32", 3, 224, 224)
LOGITS = tensor("logits", "FP32", 1000)
LABEL = tensor("LABEL", "BYTES", 5)

DECODE = ("decode", {"data": "IMAGE"}, {"pixels": "PIXELS"})
CLASSIFY = ("classify", {"pixels": "PIXELS"}, {"logits": "LOGITS"})
RANK = ("rank", {"scores": "LOGITS"}, {"label": "LABEL"})

Step = tuple[str, dict[str, str], dict[str, str]]


def ensemble(
    *steps: Step,
    inputs: tuple[TensorSpec, ...] = (IMAGE,),
    outputs: tuple[TensorSpec, ...] = (LABEL,),
    batch: int = 8,
) -> ModelConfig:
    config = ModelConfig(name="e", platform="ensemble", max_batch_size=batch)
    add_tensors(config, inputs, outputs)
    for model, input_map, output_map in steps:
        config.ensemble_scheduling.step.add(
            model_name=model, model_version=-1, input_map=input_map, output_map=output_map
        )
    return config


def models(**changed: ModelConfig) -> dict[str, ModelConfig]:
    """The three steps' models, some of them replaced."""
    return {
        "decode": model_config("decode", (tensor("data", "BYTES", 1),), (PIXELS,)),
        "classify": model_config("classify", (PIXELS,), (LOGITS,)),
        "rank": model_config(
            "rank", (tensor("scores", "FP32", 1000),), (tensor("label", "BYTES", 5),)
        ),
        **changed,
    }


def classify(*inputs: TensorSpec, outputs: tuple[TensorSpec, ...] = (LOGITS,), batch: int = 8):
    return models(classify=model_config("classify", inputs, outputs, batch))


def optional(name: str) -> TensorSpec:
    return TensorSpec(name, IMAGE.dtype, (1,), optional=True)


def reshaped(spec: TensorSpec, *model_dims: int) -> TensorSpec:
    return TensorSpec(spec.name, spec.dtype, spec.dims, model_dims)


GOOD: dict[str, tuple[ModelConfig, dict[str, ModelConfig]]] = {
    "a chain": (ensemble(DECODE, CLASSIFY, RANK), models()),
    "in any order": (ensemble(RANK, CLASSIFY, DECODE), models()),
    "an axis of any length": (
        ensemble(DECODE, CLASSIFY, RANK),
        classify(tensor("pixels", "FP32", 3, -1, -1)),
    ),
    "a step's reshape is its own affair": (
        ensemble(DECODE, CLASSIFY, RANK),
        classify(reshaped(PIXELS, 3, 224 * 224)),
    ),
    "an optional input left out": (
        ensemble(DECODE, CLASSIFY, RANK),
        classify(PIXELS, TensorSpec("mask", PIXELS.dtype, (1,), optional=True)),
    ),
    "an output that no step takes": (
        ensemble(DECODE, CLASSIFY, RANK),
        classify(PIXELS, outputs=(LOGITS, tensor("features"))),
    ),
    "a tensor taken twice": (
        ensemble(DECODE, CLASSIFY, RANK, outputs=(LABEL, tensor("LOGITS", "FP32", 1000))),
        models(),
    ),
    "one model in two steps": (
        ensemble(
            DECODE,
            CLASSIFY,
            ("classify", {"pixels": "PIXELS"}, {"logits": "AGAIN"}),
            RANK,
            outputs=(LABEL, tensor("AGAIN", "FP32", 1000)),
        ),
        models(),
    ),
    "an optional input, given on and repeated as an output": (
        ensemble(
            ("add", {"x": "X", "id": "ID"}, {"y": "Y"}),
            inputs=(tensor("X"), optional("ID")),
            outputs=(tensor("Y"), tensor("ID", "BYTES", 1)),
        ),
        {"add": model_config("add", (tensor("x"), optional("id")), (tensor("y"),))},
    ),
    "no batching at all": (
        ensemble(
            ("add", {"x": "X"}, {"y": "Y"}), inputs=(tensor("X"),), outputs=(tensor("Y"),), batch=0
        ),
        {"add": model_config("add", max_batch_size=0)},
    ),
    "an ensemble without batching over a batching step, batch axis spelt out": (
        ensemble(
            ("add", {"x": "X"}, {"y": "Y"}),
            inputs=(tensor("X", "FP32", -1, 4),),
            outputs=(tensor("Y", "FP32", -1, 4),),
            batch=0,
        ),
        {"add": model_config("add")},
    ),
}


@pytest.mark.parametrize("case", GOOD)
def test_wiring_that_fits(case: str) -> None:
    check_wiring(*GOOD[case])


BAD: dict[str, tuple[ModelConfig, dict[str, ModelConfig], list[str]]] = {
    "dtype": (
        ensemble(DECODE, CLASSIFY, RANK),
        classify(tensor("pixels", "FP16", 3, 224, 224)),
        ["'PIXELS'", "FP32 [-1, 3, 224, 224] from step 'decode'", "FP16", "step 'classify'"],
    ),
    "shape": (
        ensemble(DECODE, CLASSIFY, RANK),
        classify(tensor("pixels", "FP32", 3, 240, 240)),
        ["'PIXELS'", "[-1, 3, 224, 224]", "[-1, 3, 240, 240]"],
    ),
    "rank": (
        ensemble(DECODE, CLASSIFY, RANK),
        classify(tensor("pixels", "FP32", 3, 224)),
        ["'PIXELS'", "[-1, 3, 224, 224]", "[-1, 3, 224]"],
    ),
    "declared dims count, not the reshape": (
        ensemble(DECODE, CLASSIFY, RANK),
        classify(reshaped(tensor("pixels", "FP32", 3, 224 * 224), 3, 224, 224)),
        ["'PIXELS'", "[-1, 3, 50176]"],
    ),
    "the ensemble's own input": (
        ensemble(DECODE, CLASSIFY, RANK, inputs=(tensor("IMAGE", "UINT8", 1),)),
        models(),
        ["'IMAGE'", "UINT8 [-1, 1] from the ensemble", "BYTES [-1, 1] in step 'decode'"],
    ),
    "the ensemble's own output": (
        ensemble(DECODE, CLASSIFY, RANK, outputs=(tensor("LABEL", "BYTES", 3),)),
        models(),
        ["'LABEL'", "[-1, 5] from step 'rank'", "[-1, 3] in the ensemble"],
    ),
    "an output that no step makes": (
        ensemble(DECODE, CLASSIFY, RANK, outputs=(LABEL, tensor("SCORE"))),
        models(),
        ["output 'SCORE' is produced by no step"],
    ),
    "an input that is not mapped": (
        ensemble(DECODE, ("classify", {}, {"logits": "LOGITS"}), RANK),
        models(),
        ["step 'classify': input 'pixels' is not in its input_map"],
    ),
    "an input that the model does not have": (
        ensemble(DECODE, ("classify", {"image": "PIXELS"}, {"logits": "LOGITS"}), RANK),
        models(),
        ["step 'classify' has no input 'image'; it has pixels"],
    ),
    "an output that the model does not have": (
        ensemble(DECODE, ("classify", {"pixels": "PIXELS"}, {"scores": "LOGITS"}), RANK),
        models(),
        ["step 'classify' has no output 'scores'; it has logits"],
    ),
    "a tensor that no step makes": (
        ensemble(DECODE, ("classify", {"pixels": "PIXLES"}, {"logits": "LOGITS"}), RANK),
        models(),
        ["waits for tensor 'PIXLES'"],
    ),
    "a tensor made twice": (
        ensemble(DECODE, CLASSIFY, ("classify", {"pixels": "PIXELS"}, {"logits": "LOGITS"}), RANK),
        models(),
        ["tensor 'LOGITS' is produced twice", "step 'classify'"],
    ),
    "a step that makes the ensemble's input": (
        ensemble(("decode", {"data": "IMAGE"}, {"pixels": "IMAGE"}), CLASSIFY, RANK),
        models(),
        ["tensor 'IMAGE' is produced twice", "step 'decode'"],
    ),
    "a cycle": (
        ensemble(
            DECODE,
            ("add", {"x": "B"}, {"y": "A"}),
            ("add", {"x": "A"}, {"y": "B"}),
            CLASSIFY,
            RANK,
        ),
        models(add=model_config("add")),
        ["step 'add' waits for tensor 'B'"],
    ),
    "a batch above the smallest step's": (
        ensemble(DECODE, CLASSIFY, RANK, batch=32),
        classify(PIXELS, batch=16),
        ["max_batch_size is 32", "'decode'", "at most 8", "lower the ensemble's"],
    ),
    "a step without a batch in an ensemble with one": (
        ensemble(DECODE, CLASSIFY, RANK),
        classify(PIXELS, batch=0),
        ["'PIXELS'", "[-1, 3, 224, 224]", "[3, 224, 224]"],
    ),
    "a tensor that no step takes": (
        ensemble(DECODE, CLASSIFY, ("classify", {"pixels": "PIXELS"}, {"logits": "AGAIN"}), RANK),
        models(),
        ["tensor 'AGAIN' is produced but never used, and is not an output"],
    ),
    "an input that no step takes": (
        ensemble(DECODE, CLASSIFY, RANK, inputs=(IMAGE, tensor("MASK"))),
        models(),
        ["input 'MASK' is used by no step"],
    ),
    "an optional input that a step needs": (
        ensemble(DECODE, CLASSIFY, RANK, inputs=(optional("IMAGE"),)),
        models(),
        ["'IMAGE' is optional in the ensemble", "step 'decode' needs it"],
    ),
    "an ensemble as a step": (
        ensemble(DECODE, CLASSIFY, RANK),
        models(classify=ensemble(DECODE)),
        ["step 'classify' is itself an ensemble"],
    ),
    "a model that is not there": (
        ensemble(DECODE, CLASSIFY, ("rnak", {"scores": "LOGITS"}, {"label": "LABEL"})),
        models(),
        ["step model 'rnak' is not in the repository"],
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_wiring_that_does_not_fit_is_refused_with_both_sides(case: str) -> None:
    config, steps, said = BAD[case]
    with pytest.raises(ConfigError) as refused:
        check_wiring(config, steps)
    message = str(refused.value)
    assert message.startswith("ensemble e: ")
    assert "\n" not in message
    for part in said:
        assert part in message


def test_a_model_is_named_once_in_the_order_of_the_steps() -> None:
    assert step_models(ensemble(RANK, DECODE, RANK)) == ["rank", "decode"]
