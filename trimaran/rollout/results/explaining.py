"""Why a run answers a row as it does: the fields that moved its answer most, with sign and size.

    explainer = Explainer.of(run)
    explainer.explain(dataset.frame, most=5)[0]

gives `Explanation(baseline=0.14, reasons=(Reason("calls", "9", 0.41), …))` for a probability of
0.87. What is explained is the module that is served: a probability, the probability of the answered
class, or a number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from trimaran.rollout.results.explanations import Explanation, Reason, written
from trimaran.rollout.results.predictions import predictions_in
from trimaran.rollout.results.shapley import Columns, contributions
from trimaran.served.dates import as_text
from trimaran.served.records import Table
from trimaran.served.transform import Transform, TransformData
from trimaran.training.tabular.data.reading import text_of
from trimaran.training.tabular.data.schema import Schema
from trimaran.training.tabular.features.fit import table_of
from trimaran.training.tabular.runs.background import background_of
from trimaran.training.tabular.runs.frozen import frozen_schema
from trimaran.training.tabular.runs.trained import TrainedRun

__all__ = ["Explainer", "explanations_of"]

_FITTED = ("train", "validation")
"""Parts by which a run was fitted or chosen."""
_LONGEST_VALUE = 60
_ROWS_AT_ONCE = 16_384
"""So many are asked at a time, whatever the memory that a row takes in the module."""


class Explainer:
    """Explains the answers of a run by its background, a sample of the training part."""

    def __init__(self, run: TrainedRun, schema: Schema, background: pd.DataFrame) -> None:
        self._schema = schema
        self._transform = Transform(TransformData.from_json(run.transform_text()))
        self._module = run.module()
        self._background = self._columns(background)
        measured = [*schema.numbers, *schema.dates]
        self.fields = [field.name for field in (*measured, *schema.categories, *schema.texts)]

    @classmethod
    def of(cls, run: TrainedRun) -> Self | None:
        """That of a finished run; None where it kept no background. Raises `TrimaranError`."""
        schema = frozen_schema(run)
        background = background_of(run, schema)
        return None if background is None else cls(run, schema, background)

    def explain(
        self, frame: pd.DataFrame, most: int, done: Callable[[int], None] = lambda rows: None
    ) -> list[Explanation]:
        """The `most` fields that matter for each row of a table of the run's schema.

        A field that adds nothing is no reason. `done` is called with how many rows are done.
        """
        if frame.empty:
            return []
        columns = self._columns(frame)
        answers = self._answers(columns)
        classes = answers.argmax(axis=1)

        def answer(points: Columns, of_row: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
            found = self._answers(points)
            return found[np.arange(len(found)), classes[of_row]]

        found = contributions(answer, columns, self._background, done=done)
        own = answers[np.arange(len(answers)), classes].astype(np.float64)
        return [
            Explanation(
                float(answered - added.sum()), tuple(self._reasons(frame.iloc[row], added, most))
            )
            for row, (answered, added) in enumerate(zip(own, found, strict=True))
        ]

    def contributions(self, frame: pd.DataFrame) -> npt.NDArray[np.float64]:
        """What each of `fields` adds to the one answer of each row, `[rows, fields]`."""
        return contributions(
            lambda points, _: self._answers(points)[:, 0], self._columns(frame), self._background
        )

    def _reasons(
        self, row: pd.Series, added: npt.NDArray[np.float64], most: int
    ) -> Iterator[Reason]:
        for place in np.argsort(-np.abs(added), kind="stable")[:most]:
            name = self.fields[place]
            if added[place]:
                yield Reason(name, self._shown(name, row[name]), float(added[place]))

    def _shown(self, name: str, value: Any) -> str | None:
        if value is None or value != value:
            return None
        text = as_text(value) if name in self._schema.date_columns else text_of(value)
        text = " ".join(text.split())
        return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"

    def _columns(self, frame: pd.DataFrame) -> Columns:
        table = table_of(frame, self._schema)
        codes = self._transform.encode(table.categories)
        texts = [np.array(column, dtype=object) for column in table.texts]
        return [*table.numbers.T, *codes, *texts]

    def _answers(self, columns: Columns) -> npt.NDArray[np.float32]:
        """The module's first output, `[rows, width]`."""
        measured = len(self._schema.numbers) + len(self._schema.dates)
        coded = measured + len(self._schema.categories)
        rows = len(columns[0])
        numbers = np.array(columns[:measured], dtype=np.float64).reshape(measured, rows).T
        codes = np.array(columns[measured:coded], dtype=np.int64).reshape(coded - measured, rows)
        texts = [column.tolist() for column in columns[coded:]]
        table = Table(np.ascontiguousarray(numbers), [], texts)
        features = self._transform.apply(table.numbers, codes, table.texts)
        with torch.no_grad():
            parts = torch.from_numpy(features).split(_ROWS_AT_ONCE)
            found: npt.NDArray[np.float32] = torch.cat(
                [self._module(part)[0] for part in parts]
            ).numpy()
        return found


def explanations_of(
    run: TrainedRun,
    frame: pd.DataFrame,
    predicted: Path,
    *,
    rows: int,
    features: int,
    done: Callable[[int, int], None] = lambda done, of: None,
) -> str | None:
    """Why a run answers the rows of a table as it does, as `explanations.written` has it.

    `predicted` is the directory with the predictions of the same table. At most so many `rows` are
    explained: those that the run was not fitted to before others, in the order of the table. None
    where the run kept no background. `done` is called with how many rows are done, and of how many.
    """
    explainer = Explainer.of(run)
    if explainer is None:
        return None
    found = list(predictions_in(predicted))
    unseen = [each.row for each in found if each.part not in _FITTED]
    others = [each.row for each in found if each.part in _FITTED]
    chosen = sorted([*unseen, *others][:rows])
    part = frame.iloc[chosen]
    return written(explainer.explain(part, features, lambda so: done(so, len(chosen))), chosen)
