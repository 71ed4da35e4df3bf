"""Requests and answers as Pydantic models, for the frameworks that are built on Pydantic."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, create_model
from pydantic import Field as Bounds

from proofs.jobs.job import JobFiles

__all__ = ["Churn", "Labels", "record_type"]


class Labels(BaseModel):
    """The answer to a photograph, best first."""

    label: list[str]
    probability: list[float]


class Churn(BaseModel):
    """The answer to a record."""

    churn_probability: float
    churn_prediction: bool


def record_type(files: JobFiles) -> type[BaseModel]:
    """A flat record of the published transform's fields, each optional, and nothing else."""
    text = Path(files.directories["record"], "transform.json").read_text(encoding="utf-8")
    data = json.loads(text)
    definitions: dict[str, Any] = {data["identifier"] or "customer_id": (str | None, None)}
    for field in data["fields"]:
        if field["kind"] == "number":
            bounds = Bounds(None, ge=field["least"], le=field["most"])
            definitions[field["name"]] = (float | None, bounds)
        else:
            definitions[field["name"]] = (str | None, None)
    return create_model("Record", __config__=ConfigDict(extra="forbid", strict=True), **definitions)
