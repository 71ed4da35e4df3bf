"""Two ensembles for a classifier of records: by named fields in two steps, by JSON text in one."""

from __future__ import annotations

import json
from pathlib import Path

from ensembles.pipeline import Ensemble, Pipeline, PythonModel, Step, tensor
from trimaran.tensors import TensorSpec

__all__ = ["fields_ensemble", "record_ensemble"]

_HERE = Path(__file__).parent / "tabular"
_SHARED = [_HERE / file for file in ("answering.py", "records.py", "transform.py")]
_DTYPES = {"number": "FP32", "category": "BYTES"}


def fields_ensemble(
    name: str,
    transform: str,
    classifier: str,
    *,
    input_name: str = "features",
    output_names: tuple[str, str] = ("probability", "prediction"),
    max_batch_size: int = 1024,
) -> Pipeline:
    """The ensemble `name`: a record's own fields in, by name, each optional.

    `transform` is the text of a fitted transform; `classifier` takes its columns as float32
    `[batch, width]` and gives the probability, float32 `[batch, 1]`, and the prediction, bool
    `[batch, 1]`. A number is FP32 `[1]`, a category BYTES `[1]`. The ensemble answers
    `<name>_probability`, `<name>_prediction`, and the identifier, if the transform names one: that
    one goes from the ensemble's input to its output as it is.
    """
    data = json.loads(transform)
    fields = [
        tensor(field["name"], _DTYPES[field["kind"]], 1, optional=True) for field in data["fields"]
    ]
    identifier = data["identifier"]
    identifiers = [identifier] if identifier else []
    inputs = [*fields, *(tensor(each, "BYTES", 1, optional=True) for each in identifiers)]
    outputs = [*(tensor(each, "BYTES", 1) for each in identifiers), *_answers(name)]
    model = PythonModel(
        name=f"{name}_features",
        inputs=inputs,
        outputs=[tensor("FEATURES", "FP32", len(data["outputs"]))],
        sources=[_HERE / "features" / "model.py", *_SHARED],
        files={"transform.json": transform.encode()},
        max_batch_size=max_batch_size,
    )
    probability, prediction = output_names
    steps = [
        Step(
            model.name,
            {field.name: field.name for field in inputs},
            {"FEATURES": "features"},
        ),
        Step(
            classifier,
            {input_name: "features"},
            {probability: f"{name}_probability", prediction: f"{name}_prediction"},
        ),
    ]
    ensemble = Ensemble(name, inputs, outputs, steps, max_batch_size)
    return Pipeline(ensemble, [model])


def record_ensemble(
    name: str, transform: str, classifier: str, *, max_batch_size: int = 1024
) -> Pipeline:
    """The ensemble `<name>_record`: `RECORD`, a flat JSON object as BYTES `[1]`, in one step.

    The step holds a copy of the newest ONNX file of the model `classifier` and runs it itself,
    which spares one way through shared memory. The answers are those of `fields_ensemble`.
    """
    data = json.loads(transform)
    identifier = tensor(data["identifier"] or "identifier", "BYTES", 1)
    answers = [identifier, *_answers(name)]
    record = tensor("RECORD", "BYTES", 1)
    model = PythonModel(
        name=f"{name}_scorer",
        inputs=[record],
        outputs=[
            tensor("IDENTIFIER", "BYTES", 1),
            tensor("PROBABILITY", "FP32", 1),
            tensor("PREDICTION", "BOOL", 1),
        ],
        sources=[_HERE / "scorer" / "model.py", *_SHARED],
        files={"transform.json": transform.encode()},
        artifacts={"model.onnx": classifier},
        max_batch_size=max_batch_size,
    )
    step = Step(
        model.name,
        {"RECORD": "RECORD"},
        {
            "IDENTIFIER": answers[0].name,
            "PROBABILITY": answers[1].name,
            "PREDICTION": answers[2].name,
        },
    )
    ensemble = Ensemble(f"{name}_record", [record], answers, [step], max_batch_size)
    return Pipeline(ensemble, [model])


def _answers(name: str) -> list[TensorSpec]:
    return [
        tensor(f"{name}_probability", "FP32", 1),
        tensor(f"{name}_prediction", "BOOL", 1),
    ]
