"""A finished run applied to other rows: nothing is fitted, chosen or looked up again.

The schema, the transform, the network and what was chosen are those of the run's directory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from trimaran.served.distribution import Reference, described
from trimaran.served.transform import Transform, TransformData
from trimaran.system.errors import TrimaranError
from trimaran.system.postgresql import shown
from trimaran.training.drift import Moved, drift_between
from trimaran.training.tabular.data.groups import groups
from trimaran.training.tabular.data.reading import Source, read_table
from trimaran.training.tabular.data.schema import FieldSchema, Schema
from trimaran.training.tabular.data.sources import Dataset, of_frame
from trimaran.training.tabular.data.windows import Window, with_windows
from trimaran.training.tabular.features.fit import table_of, transform_frame
from trimaran.training.tabular.runs.trained import TrainedRun
from trimaran.training.tabular.tasks.named import task_of
from trimaran.training.tabular.tasks.task import Predictions, Segment, Task

__all__ = ["Scored", "chosen_by", "frozen_schema", "frozen_table", "predictions_of", "scored_table"]

_ROWS_AT_ONCE = 65_536


@dataclass(frozen=True)
class Scored:
    """What a frozen run says of a table."""

    dataset: Dataset
    predictions: Predictions
    known: npt.NDArray[np.bool_]
    """Which rows have an outcome, `[rows]`."""
    scores: Any
    """`tasks.task.Scores` of those; None where there are none, or of too few kinds to score."""
    interval: tuple[float, float] | None
    segments: Sequence[Segment]
    drift: Sequence[Moved]
    """The farthest first."""


def frozen_schema(run: TrainedRun) -> Schema:
    """The schema by which a run was trained; it ignores no column. Raises `TrimaranError`."""
    found = run.entry("config.json", "schema")
    try:
        return Schema(
            name=found["name"],
            target=found["target"],
            task=task_of(found["task"]),
            fields=tuple(_field(each) for each in found["fields"]),
            identifier=found["identifier"],
            leaks=tuple(found["leaks"]),
            time=found.get("time"),
            gap_days=found.get("gap_days", 0.0),
            windows=tuple(Window(**each) for each in found.get("windows", ())),
        )
    except (KeyError, TypeError) as error:
        raise run.unreadable("config.json", error) from error


def frozen_table(run: TrainedRun, source: Source, histories: Path) -> Dataset:
    """A table by the schema of a run; its target may be missing, and other columns are dropped.

    `histories` is the folder of the tables that windows are counted from. Raises `TrimaranError`
    for a table that lacks a field.
    """
    schema = frozen_schema(run)
    raw = read_table(source)
    place = shown(source.place)
    raw, counted = with_windows(raw, schema.windows, schema.time, histories, place)
    if schema.target not in raw.columns:
        raw = raw.assign(**{schema.target: None})
    if schema.identifier is not None and schema.identifier not in raw.columns:
        raw = raw.assign(**{schema.identifier: None})
    described = {*schema.columns, *schema.leaks}
    dataset = of_frame(raw[[name for name in raw.columns if name in described]], schema, place)
    if not len(dataset.frame):
        raise TrimaranError(f"{place} has no rows; add records")
    return Dataset(dataset.frame, dataset.schema, place, (*counted, *dataset.notes))


def predictions_of(run: TrainedRun, dataset: Dataset) -> Predictions:
    """What the module that is served says of each row: the first of its answers."""
    features = transform_frame(_transform(run), dataset.schema, dataset.frame)
    module = run.module()
    with torch.no_grad():
        parts = [module(part)[0] for part in torch.from_numpy(features).split(_ROWS_AT_ONCE)]
    found: Predictions = torch.cat(parts).numpy()
    return found.reshape(-1) if found.shape[1] == 1 else found


def chosen_by(run: TrainedRun, task: Task) -> Mapping[str, float]:
    """What was chosen on the run's validation part, and what else its task needs to serve."""
    return {name: float(run.entry("metrics.json", name)) for name in (*task.chosen, *task.served)}


def scored_table(run: TrainedRun, dataset: Dataset) -> Scored:
    """Predictions of a table, its scores where outcomes are known, and its drift from training."""
    schema, task = dataset.schema, dataset.schema.task
    predictions = predictions_of(run, dataset)
    known = dataset.frame[schema.target].notna().to_numpy(dtype=bool)
    chosen = chosen_by(run, task)
    scores, interval, segments = None, None, list[Segment]()
    frame = dataset.frame[known]
    if known.any() and not list(task.findings(frame[schema.target])):
        target, found = task.encode(frame[schema.target]), predictions[known]
        scores = task.score(target, found, chosen)
        interval = task.interval(target, found, chosen, 0)
        segments = [
            task.segment(field, group, target[inside], found[inside], chosen)
            for field, group, inside in groups(frame, schema, run.entry("config.json", "cuts"))
        ]
    drift = _drift(run, dataset, predictions, chosen)
    return Scored(dataset, predictions, known, scores, interval, segments, drift)


def _field(found: Mapping[str, Any]) -> FieldSchema:
    values = found.get("values")
    return FieldSchema(**{**found, "values": None if values is None else tuple(values)})


def _transform(run: TrainedRun) -> Transform:
    return Transform(TransformData.from_json(run.transform_text()))


def _drift(
    run: TrainedRun,
    dataset: Dataset,
    predictions: Predictions,
    chosen: Mapping[str, float],
) -> list[Moved]:
    """Of every feature and answer of the run's reference."""
    try:
        reference = Reference.from_json(run.reference_text())
    except (ValueError, KeyError, TypeError) as error:
        raise run.unreadable("reference.json", error) from error
    transform = _transform(run)
    table = table_of(dataset.frame, dataset.schema)
    answered = dataset.schema.task.answered(run.name, predictions, chosen, None)
    counted = described(
        reference,
        transform.counted(table.numbers, table.texts),
        transform.encode(table.categories),
        answered.values,
    )
    return sorted(drift_between(reference, counted), key=lambda each: -(each.index or 0.0))
