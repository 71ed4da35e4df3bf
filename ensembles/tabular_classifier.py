"""A model of records: an ensemble by named fields, and a model by JSON text."""

from __future__ import annotations

import json

from ensembles.feedback import LOG_MEGABYTES, feedback_model
from ensembles.pipeline import Ensemble, Pipeline, PythonModel, Step, tensor
from trimaran.repository.dtypes import TensorSpec
from trimaran.served.answers import Answers, BinaryAnswers
from trimaran.training.tabular.runs.trained import TrainedRun

__all__ = ["fields_ensemble", "models_of", "record_model"]

_DTYPES = {"number": "FP32", "category": "BYTES", "date": "BYTES", "text": "BYTES"}
_NETWORK = {"BYTES": "INT64"}
"""The network's datatype where it is not the model's: a class's number."""
BINARY = BinaryAnswers()


def models_of(run: TrainedRun, *, logged: bool = False) -> list[Pipeline | PythonModel]:
    """What serves a trained run: by named fields, by JSON text, and the model of outcomes.

    With `logged`, predictions by named fields can be logged too: see `fields_ensemble`.
    """
    name = run.name
    about = name, run.transform_text(), run.reference_text(), f"{name}_onnx", run.answers()
    fields = fields_ensemble(*about, logged=logged)
    answers = run.answers()
    judged = {key: f"{name}_{each}" for key, each in answers.judged.items()}
    outcomes = feedback_model(
        name,
        [f"{name}_record", name],
        answers.outcome,
        {**judged, **answers.parameters()},
        answers.files(),
    )
    return [fields, record_model(*about), outcomes]


def fields_ensemble(
    name: str,
    transform: str,
    reference: str,
    network: str,
    answers: Answers = BINARY,
    *,
    input_name: str = "features",
    max_batch_size: int = 1024,
    logged: bool = False,
) -> Pipeline:
    """The ensemble `name`: a record's own fields in, by name, each optional.

    `transform` is the text of a fitted transform. `reference` is the text of the distribution in
    training, by whose bins rows are counted (`trimaran/served/distribution.py`). `network` takes
    the transform's columns as float32 `[batch, width]` and gives what `answers` names. A number is
    FP32 `[1]`, a category, a date or a text BYTES `[1]`. The ensemble gives the model's answers
    (`trimaran/served/answers.py`) and the identifier, if the transform names one, unchanged.

    With `logged` it has a last step `<name>_answers`, which logs the answers where predictions are
    logged. It costs about a quarter more CPU, logging or not. Classes have it anyway, since it
    turns their numbers into text.
    """
    data = json.loads(transform)
    fields = [
        tensor(field["name"], _DTYPES[field["kind"]], 1, optional=True) for field in data["fields"]
    ]
    identifiers = _identifiers(transform)
    inputs = [*fields, *(tensor(each, "BYTES", 1, optional=True) for each in identifiers)]
    outputs = [*(tensor(each, "BYTES", 1) for each in identifiers), *_answers(name, answers)]
    model = PythonModel(
        name=f"{name}_features",
        inputs=inputs,
        outputs=[tensor("FEATURES", "FP32", len(data["outputs"]))],
        entry="trimaran.served.features_model",
        files={"transform.json": transform.encode(), "reference.json": reference.encode()},
        max_batch_size=max_batch_size,
    )
    named = dict(zip(answers.network, (each for each, _, _ in answers.outputs(name)), strict=True))
    steps = [
        Step(
            model,
            {field.name: field.name for field in inputs},
            {"FEATURES": "features"},
        ),
        Step(network, {input_name: "features"}, named),
    ]
    if logged or answers.files():
        last = _answers_model(name, answers, identifiers, reference, max_batch_size)
        found = {each: f"network_{each}" for each in answers.network}
        given = {each.name: each.name for each in last.inputs if each.name in identifiers}
        named.update(found)
        steps.append(
            Step(last, {**found, **given}, {each.name: each.name for each in last.outputs})
        )
    ensemble = Ensemble(name, inputs, outputs, steps, max_batch_size)
    return Pipeline(ensemble)


def record_model(
    name: str,
    transform: str,
    reference: str,
    network: str,
    answers: Answers = BINARY,
    *,
    max_batch_size: int = 1024,
) -> PythonModel:
    """The model `<name>_record`: `RECORD`, a flat JSON object as BYTES `[1]`.

    It holds a copy of the newest ONNX file of the model `network` and runs it itself, which
    saves a pass through shared memory and the ensemble. The answers are those of
    `fields_ensemble`; the identifier is an optional second input and is returned unchanged.

    Where predictions are logged (`trimaran/served/logged_predictions.py`), the parameters decide
    which parts of a record are written: by default a digest of it and of its identifier.
    """
    identifiers = _identifiers(transform)
    inputs = [
        tensor("RECORD", "BYTES", 1),
        *(tensor(each, "BYTES", 1, optional=True) for each in identifiers),
    ]
    return PythonModel(
        name=f"{name}_record",
        inputs=inputs,
        outputs=[*(tensor(each, "BYTES", 1) for each in identifiers), *_answers(name, answers)],
        entry="trimaran.served.record_model",
        files={
            "transform.json": transform.encode(),
            "reference.json": reference.encode(),
            **answers.files(),
        },
        artifacts={"model.onnx": network},
        parameters={
            "log_fields": "none",
            "log_masked": ",".join(identifiers) or "none",
            "log_megabytes": LOG_MEGABYTES,
            **answers.parameters(),
        },
        max_batch_size=max_batch_size,
    )


def _identifiers(transform: str) -> list[str]:
    """The name of the identifier, if the records have one."""
    identifier = json.loads(transform)["identifier"]
    return [identifier] if identifier else []


def _answers(name: str, answers: Answers) -> list[TensorSpec]:
    return [tensor(each, dtype, width) for each, dtype, width in answers.outputs(name)]


def _answers_model(
    name: str, answers: Answers, identifiers: list[str], reference: str, max_batch_size: int
) -> PythonModel:
    """The model `<name>_answers`: the network's outputs to those of `name`, which it logs."""
    outputs = _answers(name, answers)
    inputs = [
        tensor(each, _NETWORK.get(output.dtype.triton, output.dtype.triton), *output.dims)
        for each, output in zip(answers.network, outputs, strict=True)
    ]
    identified = {"identifier": identifiers[0]} if identifiers else {}
    return PythonModel(
        name=f"{name}_answers",
        inputs=[*inputs, *(tensor(each, "BYTES", 1, optional=True) for each in identifiers)],
        outputs=outputs,
        entry="trimaran.served.answers_model",
        files={
            "judged.json": json.dumps(json.loads(reference).get("judged", {})).encode(),
            **answers.files(),
        },
        parameters={
            "answers_of": name,
            "log_masked": ",".join(identifiers) or "none",
            "log_megabytes": LOG_MEGABYTES,
            **identified,
            **answers.parameters(),
        },
        max_batch_size=max_batch_size,
    )
