"""Runs of tables of records, also of payments with costs: any task of `training/tabular`."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from trimaran.pages.page import badge, table, text
from trimaran.rollout.runs.data_page import page_of_table
from trimaran.rollout.runs.families.family import Family
from trimaran.rollout.runs.families.table_trial import TrialOfTable
from trimaran.rollout.runs.figures import Figures, Slice
from trimaran.rollout.runs.predicted_page import Result, drift, predicted_page, result
from trimaran.rollout.runs.predicting import NEW, TEST, leave, metrics_of
from trimaran.training.progress import Watch
from trimaran.training.run_directory import RunDirectory
from trimaran.training.tabular.data.reading import Source
from trimaran.training.tabular.data.sources import NAMES, Dataset, load
from trimaran.training.tabular.runs.config import digest_of_frame
from trimaran.training.tabular.runs.frozen import Scored, frozen_table, scored_table
from trimaran.training.tabular.runs.trained import TrainedRun

__all__ = ["TABLES", "FrozenTables", "page_of_scored"]

_PARTS = ("train", "validation", TEST, NEW)
_FITTED = ("train", "validation")
"""Parts by which a run was fitted or chosen."""


@dataclass(frozen=True)
class FrozenTables:
    """A finished run that predicts other rows."""

    run: TrainedRun

    def read(self, source: Source, watch: Watch) -> NewRows:
        """A table by the run's own schema; see `frozen_table`."""
        if source.place in NAMES:
            return NewRows(self.run, load(source.place))
        return NewRows(self.run, frozen_table(self.run, source, Path(source.place).parent))


@dataclass(frozen=True)
class NewRows:
    """A table, and the run that predicts it."""

    run: TrainedRun
    dataset: Dataset

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left out of the table."""
        return self.dataset.notes

    @property
    def rows(self) -> Dataset:
        """The table."""
        return self.dataset

    def page(self) -> str:
        """The table as `trimaran explore` shows it."""
        return page_of_table(self.dataset)

    def predict(self, directory: Path, watch: Watch) -> None:
        """Leave the predictions; what serving counts of drift is counted of these rows."""
        watch("predicting", 0, 1)
        scored = scored_table(self.run, self.dataset)
        frame, task = self.dataset.frame, self.dataset.schema.task
        data = {
            "rows": len(frame),
            "digest": digest_of_frame(frame),
            "source": self.dataset.source,
        }
        test: dict[str, Any] = {"rows": int(scored.known.sum())}
        if scored.scores is not None and scored.interval is not None:
            test = {**scored.scores.as_dict(), f"{task.main}_interval": list(scored.interval)}
        notes = [*self.dataset.notes, *_seen_before(self.run, self.dataset)]
        kept = ("task", "importance", "goal", *task.chosen, *task.served)
        metrics = {
            **metrics_of(self.run, kept, test, scored.drift, notes),
            "caveat": None,
            "segments": [one.as_dict() for one in scored.segments],
        }
        html = page_of_scored(self.run, scored, notes)
        leave(directory, self.run, {"data": data}, _predictions(scored), html, metrics)


def page_of_scored(run: TrainedRun, scored: Scored, notes: Sequence[str]) -> str:
    """The results report of a table, as HTML."""
    page = predicted_page(run.name, run, scored.dataset.source)
    page.section("Result", *result(_result(run, scored)))
    page.section("Drift from the training part", *drift(scored.drift))
    page.section("Groups of rows", *_groups(scored))
    frame: Any = scored.dataset.frame
    missing = [(str(name), int(frame[name].isna().sum())) for name in frame.columns]
    said = (text(note, "warning") for note in notes)
    page.section("Data", *said, table(["column", "missing"], missing))
    return page.html()


def _result(run: TrainedRun, scored: Scored) -> Result:
    task, before = scored.dataset.schema.task, run.metrics()["test"]
    now = scored.scores.as_dict() if scored.scores is not None else {}
    return Result(
        "rows",
        len(scored.predictions),
        int(scored.known.sum()),
        task.title,
        {name: (now[key], before[key]) for key, name in task.metrics.items() if key in now},
        scored.interval,
        before.get(f"{task.main}_interval"),
        less_is_better=not task.greater_is_better,
    )


def _groups(scored: Scored) -> list[Markup]:
    if not scored.segments:
        return [text("No group of rows has outcomes to score.")]
    names = scored.dataset.schema.task.metrics
    scores = list(scored.segments[0].scores)
    rows = [
        (
            one.field,
            one.group,
            one.rows,
            *one.scores.values(),
            badge("few", "warning") if one.small else "",
        )
        for one in scored.segments
    ]
    titles = [names.get(each, each.replace("_", " ")) for each in scores]
    return [table(["field", "group", "rows", *titles, "sample"], rows)]


def _seen_before(run: TrainedRun, dataset: Dataset) -> list[str]:
    """A note where rows were among those that the run was fitted to: their scores say little."""
    schema, frame = dataset.schema, dataset.frame
    count = 0
    if digest_of_frame(frame) == run.entry("config.json", "data")["digest"]:
        count = len(frame)
    elif schema.identifier is not None:
        rows = csv.DictReader(io.StringIO(run.text("predictions.csv")))
        fitted = {row["identifier"] for row in rows if row["part"] in _FITTED} - {""}
        count = int(frame[schema.identifier].isin(fitted).sum())
    if not count:
        return []
    return [
        f"{count} of {len(frame)} rows were there when the model was trained, so scores on them "
        "are too good"
    ]


def _predictions(scored: Scored) -> Iterator[Sequence[Any]]:
    schema, frame = scored.dataset.schema, scored.dataset.frame
    judged = scored.known if scored.scores is not None else np.zeros(len(frame), bool)
    target = np.zeros(len(frame), np.int64)
    if judged.any():
        encoded = schema.task.encode(frame[schema.target][judged])
        target = np.zeros(len(frame), encoded.dtype)
        target[judged] = encoded
    columns: Mapping[str, Sequence[Any]] = schema.task.columns(target, scored.predictions)
    names = [str(row) for row in range(len(frame))]
    if schema.identifier is not None:
        names = [name if isinstance(name, str) else "" for name in frame[schema.identifier]]
    outcomes = [
        value if known else "" for value, known in zip(columns["target"], judged, strict=True)
    ]
    shown = {**columns, "target": outcomes}
    yield ["identifier", "part", *shown]
    yield from zip(names, np.where(judged, TEST, NEW), *shown.values(), strict=True)


def _figures(directory: Path) -> Figures:
    run = TrainedRun(directory)
    metrics, config, task = run.metrics(), run.config(), run.task()
    schema, test = config["schema"], metrics["test"]
    value = test.get(task.main)
    return Figures(
        estimator=str(metrics["model"]),
        metric=task.title,
        value=None if value is None else float(value),
        interval=test.get(f"{task.main}_interval"),
        source=str(config["data"]["source"]),
        digest=str(config["data"]["digest"]),
        rows=_parts(run),
        scores={name: test[key] for key, name in task.metrics.items() if key in test},
        validation=metrics.get("validation", {}).get(task.main),
        less_is_better=not task.greater_is_better,
        baselines={
            name: float(each["test"][task.main])
            for name, each in metrics.get("baselines", {}).items()
        },
        importance=metrics.get("importance", ()),
        slices=[_slice(each, task.metrics) for each in metrics.get("segments", ())],
        features=[(each["name"], each["kind"]) for each in schema["fields"]],
        target=repr(str(schema["target"])),
        goal=metrics.get("goal"),
        split=_split(run),
        notes=[*([metrics["caveat"]] if metrics.get("caveat") else []), *metrics["notes"]],
    )


def _slice(found: Mapping[str, Any], names: Mapping[str, str]) -> Slice:
    about = {each: found[each] for each in ("field", "group", "rows", "small")}
    scores = {
        names.get(key, key.replace("_", " ")): value
        for key, value in found.items()
        if key not in about
    }
    return Slice(**about, scores=scores)


def _parts(run: RunDirectory) -> Mapping[str, int]:
    rows = csv.DictReader(io.StringIO(run.text("predictions.csv")))
    found = Counter(row["part"] for row in rows if row["part"])
    return {part: found[part] for part in _PARTS if found[part]}


def _split(run: TrainedRun) -> str:
    by_time = run.split_by_time()
    if not by_time:
        return "at random, by a seed"
    return f"by time, the dates of {by_time['column']!r}: tested from {by_time['test']['from']}"


TABLES = Family(
    "records of a table",
    lambda directory: True,
    _figures,
    lambda directory: TrialOfTable(TrainedRun(directory)),
    lambda directory: FrozenTables(TrainedRun(directory)),
)
