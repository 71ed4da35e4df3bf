"""A run of a persisted estimator: it predicts new rows, and leaves what a training leaves.

| file | holds |
|---|---|
| `config.json` | that of the persisted run, with the new data; `frozen` is its folder |
| `predictions.csv` | identifier, part, target and predictions; part `test` has outcomes |
| `report.html` | scores, drift from training, and groups of rows |
| `metrics.json` | the scores; written last |
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from trimaran.rollout.runs.predicted_page import predicted_page
from trimaran.system.files import write_text
from trimaran.training.image.trained import image_run
from trimaran.training.recommender.trained import recommender_run
from trimaran.training.tabular.runs.config import digest_of_frame
from trimaran.training.tabular.runs.frozen import Scored
from trimaran.training.tabular.runs.trained import TrainedRun
from trimaran.training.text.trained import text_run

__all__ = ["predict", "predicts"]

_FITTED = ("train", "validation")
"""Parts by which a run was fitted or chosen."""


def predicts(directory: Path) -> bool:
    """Whether the run in a directory can predict new rows: one of a table of records."""
    others = text_run(directory), image_run(directory), recommender_run(directory)
    return not any(others)


def predict(run: TrainedRun, scored: Scored, directory: Path) -> None:
    """Write what a persisted run says of a table into a directory."""
    config = run.config()
    data = {
        "rows": len(scored.dataset.frame),
        "digest": digest_of_frame(scored.dataset.frame),
        "source": scored.dataset.source,
    }
    about = {**config, "data": data, "frozen": run.directory.name}
    about.pop("split", None)  # nothing is split
    write_text(directory / "config.json", _json(about))
    write_text(directory / "predictions.csv", _predictions(scored))
    metrics = _metrics(run, scored)
    write_text(directory / "report.html", predicted_page(run, scored, metrics["notes"]))
    write_text(directory / "metrics.json", _json(metrics))


def _metrics(run: TrainedRun, scored: Scored) -> dict[str, Any]:
    before, task = run.metrics(), scored.dataset.schema.task
    test: dict[str, Any] = {"rows": int(scored.known.sum())}
    if scored.scores is not None and scored.interval is not None:
        test = {**scored.scores.as_dict(), f"{task.main}_interval": list(scored.interval)}
    kept = ("task", "model", "seed", "importance", "goal", *task.chosen, *task.served)
    return {
        **{name: before[name] for name in kept if name in before},
        "caveat": None,
        "test": test,
        "frozen_test": before["test"],
        "baselines": {},
        "segments": [one.as_dict() for one in scored.segments],
        "drift": [
            {"feature": one.feature, "verdict": one.verdict, "index": one.index, "bin": one.bin}
            for one in scored.drift
        ],
        "notes": [*scored.dataset.notes, *_seen_before(run, scored)],
    }


def _seen_before(run: TrainedRun, scored: Scored) -> list[str]:
    """A note where rows were among those that the run was fitted to: their scores say little."""
    schema, frame = scored.dataset.schema, scored.dataset.frame
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


def _predictions(scored: Scored) -> str:
    schema, frame = scored.dataset.schema, scored.dataset.frame
    target = np.zeros(len(frame), np.int64)
    if scored.known.any() and scored.scores is not None:
        encoded = schema.task.encode(frame[schema.target][scored.known])
        target = np.zeros(len(frame), encoded.dtype)
        target[scored.known] = encoded
    columns: Mapping[str, Sequence[Any]] = schema.task.columns(target, scored.predictions)
    judged = scored.known if scored.scores is not None else np.zeros(len(frame), bool)
    names = [str(row) for row in range(len(frame))]
    if schema.identifier is not None:
        names = [name if isinstance(name, str) else "" for name in frame[schema.identifier]]
    target_column = [
        value if known else "" for value, known in zip(columns["target"], judged, strict=True)
    ]
    shown = {**columns, "target": target_column}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["identifier", "part", *shown])
    parts = np.where(judged, "test", "new")
    writer.writerows(zip(names, parts, *shown.values(), strict=True))
    return text.getvalue()


def _json(values: Mapping[str, Any]) -> str:
    return json.dumps(values, indent=1, allow_nan=False) + "\n"
