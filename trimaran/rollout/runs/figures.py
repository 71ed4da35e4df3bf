"""What a finished run of any family says in figures: how good it is, on what, and for whom."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from trimaran.training.image.trained import image_run
from trimaran.training.recommender.trained import recommender_run
from trimaran.training.run_directory import RunDirectory
from trimaran.training.tabular.runs.trained import TrainedRun
from trimaran.training.text.trained import text_run

__all__ = ["Figures", "Slice", "figures_of"]

_OF_TEXTS = {"f1": "F1", "precision": "precision", "recall": "recall", "roc_auc": "ROC AUC"}
_OF_IMAGES = {"accuracy": "accuracy", "macro_f1": "macro F1", "log_loss": "log loss"}
_OF_CHOICES = {"ndcg": "NDCG@10"}


@dataclass(frozen=True)
class Slice:
    """How good it is for the rows of one group."""

    field: str
    group: str
    rows: int
    scores: Mapping[str, float | None]
    """By the names that people use; the first is the main one."""
    small: bool
    """Whether there are too few rows to judge."""


@dataclass(frozen=True)
class Figures:
    """Of the test part, unless a name says otherwise."""

    estimator: str
    metric: str
    """The main metric, as people call it."""
    value: float | None
    """None where no outcome is known."""
    interval: Sequence[float] | None
    """Of 95 %."""
    source: str
    """Where the data are from."""
    digest: str
    """SHA-256 of the data, in hexadecimal."""
    rows: Mapping[str, int]
    """By part."""
    scores: Mapping[str, float]
    """Other metrics, by the names that people use."""
    validation: float | None = None
    """The main metric on the validation part."""
    less_is_better: bool = False
    baselines: Mapping[str, float] = field(default_factory=dict)
    """The main metric of simpler models."""
    importance: Sequence[Mapping[str, Any]] = ()
    """Of fields, the most important first."""
    slices: Sequence[Slice] = ()
    features: Sequence[tuple[str, str]] = ()
    """Fields and their kinds."""
    target: str = ""
    goal: float | None = None
    split: str = ""
    notes: Sequence[str] = ()
    size: int = 0
    """Bytes of the weights; 0 where it has none of its own."""

    @property
    def tested(self) -> int:
        """The rows on which it was scored."""
        return int(self.rows.get("test", 0))

    def outcome(self) -> dict[str, Any]:
        """What the ledger keeps."""
        return {
            "estimator": self.estimator,
            "metric": self.metric,
            "value": self.value,
            "interval": list(self.interval) if self.interval else None,
            "rows": dict(self.rows),
            "digest": self.digest,
        }


def figures_of(directory: Path) -> Figures:
    """The figures of a run by its directory. Raises `TrimaranError` where a file is damaged."""
    found = _of_run(directory)
    weights = next(iter(directory.glob("weights.*")), None)
    return replace(found, size=weights.stat().st_size) if weights else found


def _of_run(directory: Path) -> Figures:
    if run := text_run(directory):
        return _of_family(run, "f1", _OF_TEXTS, run.metrics()["test"]["f1_interval"])
    if images := image_run(directory):
        interval = images.metrics()["test"]["accuracy_interval"]
        return _of_family(images, "accuracy", _OF_IMAGES, interval)
    if choices := recommender_run(directory):
        interval = choices.metrics()["intervals"]["ndcg"]
        return _of_family(choices, "ndcg", _OF_CHOICES, interval)
    return _of_table(TrainedRun(directory))


def _of_family(
    run: RunDirectory, main: str, names: Mapping[str, str], interval: Sequence[float]
) -> Figures:
    """Of texts, photographs or choices."""
    metrics, config = run.metrics(), run.config()
    test = metrics["test"]
    data = config.get("data", {})
    baselines = {name: each.get("test", each) for name, each in metrics["baselines"].items()}
    return Figures(
        estimator=str(metrics["model"]),
        metric=names[main],
        value=float(test[main]),
        interval=interval,
        source=str(config.get("source", "")),
        digest=str(data.get("digest", "")) if isinstance(data, dict) else "",
        rows=metrics["rows"],
        scores={name: float(test[key]) for key, name in names.items() if key in test},
        validation=metrics.get("validation", {}).get(main),
        baselines={name: float(each[main]) for name, each in baselines.items()},
        split="at random, by a seed",
        notes=metrics["notes"],
    )


def _of_table(run: TrainedRun) -> Figures:
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
        target=str(schema["target"]),
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
    return dict(Counter(row["part"] for row in rows if row["part"]))


def _split(run: TrainedRun) -> str:
    by_time = run.split_by_time()
    if not by_time:
        return "at random, by a seed"
    return f"by time, the dates of {by_time['column']!r}: tested from {by_time['test']['from']}"
