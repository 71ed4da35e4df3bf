"""What is served of a run of a table, to be tried: its transform, and its network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import nn

from trimaran.rollout.runs.readiness import Predict
from trimaran.served.dates import as_text
from trimaran.served.records import Field, RecordReader
from trimaran.served.transform import Transform, TransformData
from trimaran.training.tabular.runs.trained import TrainedRun

__all__ = ["TrialOfTable"]


@dataclass(frozen=True)
class TrialOfTable:
    """A run of any task."""

    run: TrainedRun

    def module(self) -> nn.Module:
        """Features to the answers that are served."""
        return self.run.module()

    def batch(self, rows: int) -> npt.NDArray[np.float32]:
        """Features of training rows, float32 `[rows, columns]`."""
        found = self.run.samples()
        return np.resize(found, (rows, *found.shape[1:]))

    def missing(self, predict: Predict) -> str:
        """Records without one field, and with one field alone, read and changed as in serving."""
        transform = Transform(TransformData.from_json(self.run.transform_text()))
        fields = [Field(**each) for each in transform.data.fields]
        usual = _usual(transform.data, fields)
        if len(usual) == 1:
            return "It has one field, and refuses a record without it."
        lacking = [{key: usual[key] for key in usual if key != name} for name in usual]
        alone = [{name: value} for name, value in usual.items()]
        table = RecordReader(fields).from_records([*lacking, *alone])
        features = transform.apply(table.numbers, transform.encode(table.categories), table.texts)
        finite = _finite(predict(features)).reshape(2, len(usual))
        bad = [name for name, both in zip(usual, finite.T, strict=True) if not both.all()]
        if bad:
            return f"It gives no number where these fields are missing, or alone: {', '.join(bad)}."
        return (
            f"It answers where any one of its {len(usual)} fields is missing, and where all but "
            "one are."
        )


def _usual(data: TransformData, fields: Sequence[Field]) -> Mapping[str, Any]:
    """A record of every field: what missing numbers become, and the first of known words."""
    words = {each.name: each.vocabulary for each in data.categories}
    filled = iter(data.fill)
    found: dict[str, Any] = {}
    for field in fields:
        if field.kind == "number":
            found[field.name] = next(filled)
        elif field.kind == "date":
            found[field.name] = as_text(field.least or 0.0)
        else:
            found[field.name] = next(iter(words.get(field.name, ())), "a")
    return found


def _finite(answers: Sequence[npt.NDArray[Any]]) -> npt.NDArray[np.bool_]:
    """Of each row, whether all that is answered is a number."""
    rows = len(answers[0])
    each = [np.isfinite(answer).reshape(rows, -1).all(axis=1) for answer in answers]
    found: npt.NDArray[np.bool_] = np.all(each, axis=0)
    return found
