"""What a run of a persisted estimator leaves: it predicts new data, and fits nothing.

| file | holds |
|---|---|
| `config.json` | that of the persisted run, with the new data; `frozen` is its folder |
| `predictions.csv` | a line each: of part `test` with a known outcome, of `new` without one |
| `report.html` | scores beside those of training, and drift |
| `metrics.json` | the scores; written last |

A family adds the small files by which its runs are known, such as the labels.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from trimaran.system.files import write_text
from trimaran.training.drift import Moved
from trimaran.training.run_directory import RunDirectory

__all__ = ["NEW", "TEST", "leave", "metrics_of", "parts", "samples_seen"]

TEST, NEW = "test", "new"
"""The parts of predictions: with a known outcome, and without."""


def leave(
    directory: Path,
    run: RunDirectory,
    about: Mapping[str, Any],
    predictions: Iterable[Sequence[Any]],
    html: str,
    metrics: Mapping[str, Any],
    files: Sequence[str] = (),
) -> None:
    """Write it all into a directory.

    `about` is what `config.json` has of the new data, `predictions` are lines after their header,
    and `files` those of the run that are copied.
    """
    config = {**run.config(), **about, "frozen": run.directory.name}
    config.pop("split", None)  # nothing is split
    write_text(directory / "config.json", _json(config))
    for name in files:
        write_text(directory / name, run.text(name))
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(predictions)
    write_text(directory / "predictions.csv", text.getvalue())
    write_text(directory / "report.html", html)
    write_text(directory / "metrics.json", _json(metrics))


def metrics_of(
    run: RunDirectory,
    kept: Iterable[str],
    test: Mapping[str, Any],
    drift: Iterable[Moved],
    notes: Sequence[str],
    rows: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """The content of `metrics.json`: `test` has the scores, `kept` are keys of the run's own.

    `rows` says how many there are of each part, where the predictions alone do not.
    """
    before = run.metrics()
    return {
        **{name: before[name] for name in ("model", "seed", *kept) if name in before},
        "test": dict(test),
        "frozen_test": before["test"],
        "baselines": {},
        "drift": [
            {"feature": one.feature, "verdict": one.verdict, "index": one.index, "bin": one.bin}
            for one in drift
        ],
        "notes": list(notes),
        **({"rows": dict(rows)} if rows else {}),
    }


def parts(judged: int, total: int) -> dict[str, int]:
    """How many rows are of each part, of which `judged` have an outcome."""
    return {TEST: judged, NEW: total - judged}


def samples_seen(seen: int, samples: int, what: str) -> list[str]:
    """A note where samples of the training part are among the new data: scores say little then."""
    if not seen:
        return []
    return [
        f"{seen} of the {samples} {what} of the training part that the run kept are among these, "
        "so scores on them are too good"
    ]


def _json(values: Mapping[str, Any]) -> str:
    return json.dumps(values, indent=1, allow_nan=False) + "\n"
