"""A model of records: an ensemble by named fields, and a model by JSON text."""

from __future__ import annotations

import json

from ensembles.pipeline import Ensemble, Pipeline, PythonModel, Step, tensor
from trimaran.repository.dtypes import TensorSpec
from trimaran.served.answers import Answers, BinaryAnswers
from trimaran.training.tabular.runs.trained import TrainedRun

__all__ = ["feedback_model", "fields_ensemble", "models_of", "record_model"]

_DTYPES = {"number": "FP32", "category": "BYTES", "date": "BYTES", "text": "BYTES"}
_LOG_MEGABYTES = "1024"
BINARY = BinaryAnswers()


def models_of(run: TrainedRun) -> list[Pipeline | PythonModel]:
    """What serves a trained run: by named fields, by JSON text, and the model of outcomes."""
    name = run.name
    about = name, run.transform_text(), run.reference_text(), f"{name}_onnx", run.answers()
    return [fields_ensemble(*about), record_model(*about), feedback_model(name, run.answers())]


def fields_ensemble(
    name: str,
    transform: str,
    reference: str,
    network: str,
    answers: Answers = BINARY,
    *,
    input_name: str = "features",
    max_batch_size: int = 1024,
) -> Pipeline:
    """The ensemble `name`: a record's own fields in, by name, each optional.

    `transform` is the text of a fitted transform. `reference` is the text of the distribution in
    training, by whose bins rows are counted (`trimaran/served/distribution.py`). `network` takes
    the transform's columns as float32 `[batch, width]` and gives what `answers` names. A number is
    FP32 `[1]`, a category, a date or a text BYTES `[1]`. The ensemble gives the model's answers
    (`trimaran/served/answers.py`) and the identifier, if the transform names one, unchanged.
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
            model.name,
            {field.name: field.name for field in inputs},
            {"FEATURES": "features"},
        ),
        Step(network, {input_name: "features"}, named),
    ]
    models = [model]
    if answers.files():
        labelling = _class_model(name, answers, max_batch_size)
        prediction = named["prediction"]
        named["prediction"] = "class_number"
        steps.append(Step(labelling.name, {"NUMBER": "class_number"}, {"CLASS": prediction}))
        models.append(labelling)
    ensemble = Ensemble(name, inputs, outputs, steps, max_batch_size)
    return Pipeline(ensemble, models)


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
            "log_megabytes": _LOG_MEGABYTES,
            **answers.parameters(),
        },
        max_batch_size=max_batch_size,
    )


def feedback_model(
    name: str, answers: Answers = BINARY, *, max_batch_size: int = 1024
) -> PythonModel:
    """The model `<name>_feedback`: outcomes of what `<name>_record` predicted and logged.

    Takes `id`, BYTES `[1]`, `outcome`, `[1]` in the datatype of the task's outcomes, and `time`,
    BYTES `[1]`, optional; answers `status`, BYTES `[1]`: see the table in
    `trimaran/served/outcomes.py`, and `trimaran/served/judging.py`.
    """
    return PythonModel(
        name=f"{name}_feedback",
        inputs=[
            tensor("id", "BYTES", 1),
            tensor("outcome", answers.outcome, 1),
            tensor("time", "BYTES", 1, optional=True),
        ],
        outputs=[tensor("status", "BYTES", 1)],
        entry="trimaran.served.feedback_model",
        files=answers.files(),
        parameters={
            "predictions_of": f"{name}_record",
            **{key: f"{name}_{each}" for key, each in answers.judged.items()},
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


def _class_model(name: str, answers: Answers, max_batch_size: int) -> PythonModel:
    """The model `<name>_class`: a class's number to its text."""
    return PythonModel(
        name=f"{name}_class",
        inputs=[tensor("NUMBER", "INT64", 1)],
        outputs=[tensor("CLASS", "BYTES", 1)],
        entry="trimaran.served.class_model",
        files=answers.files(),
        max_batch_size=max_batch_size,
    )
