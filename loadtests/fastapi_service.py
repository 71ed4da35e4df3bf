"""The same record classifier as a FastAPI service: what the ensemble's speed is compared with.

Pydantic validates a flat record, the very transform and ONNX file of a published version score it.
`TRIMARAN_VERSION` names the version directory, which holds `transform.json` and `model.onnx`.
Started by uvicorn with a process for each core, uvloop and httptools: the documented way.
"""

import os
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, create_model
from pydantic import Field as Bounds

from ensembles.tabular.transform import Transform
from loadtests.in_process import open_version

__all__ = ["app"]


class Answer(BaseModel):
    """What the service says of a customer."""

    customer_id: str
    churn_probability: float
    churn_prediction: bool


def _record(transform: Transform) -> type[BaseModel]:
    """A flat record of the transform's fields, each optional, and nothing else."""
    definitions: dict[str, Any] = {transform.data.identifier or "customer_id": (str, "")}
    for field in transform.data.fields:
        if field["kind"] == "number":
            bounds = Bounds(None, ge=field["least"], le=field["most"])
            definitions[field["name"]] = (float | None, bounds)
        else:
            definitions[field["name"]] = (str | None, None)
    return create_model("Record", __config__=ConfigDict(extra="forbid"), **definitions)


def _app(directory: Path) -> FastAPI:
    transform, session = open_version(directory)
    identifier = transform.data.identifier or "customer_id"
    numbers, categories = transform.number_names, transform.category_names
    record_type = _record(transform)
    service = FastAPI()

    @service.post("/predict")
    async def predict(record: record_type) -> Answer:  # type: ignore[valid-type]
        values = vars(record)
        row = np.array([[values[name] for name in numbers]], dtype=np.float32).astype(np.float64)
        codes = transform.encode([[values[name]] for name in categories])
        probability, prediction = session.run(
            ["probability", "prediction"], {"features": transform.apply(row, codes)}
        )
        return Answer(
            customer_id=values[identifier],
            churn_probability=probability[0, 0],
            churn_prediction=prediction[0, 0],
        )

    return service


app = _app(Path(os.environ["TRIMARAN_VERSION"]))
