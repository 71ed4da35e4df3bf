"""Runs of photographs with a class each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from torch import nn

from trimaran.pages.page import Page, facts, table, text
from trimaran.rollout.runs.families.family import Family
from trimaran.rollout.runs.figures import Figures, Slice, figures_of_metrics
from trimaran.rollout.runs.predicted_page import Result, drift, notes_on, predicted_page, result
from trimaran.rollout.runs.predicting import NEW, TEST, leave, metrics_of, parts, samples_seen
from trimaran.rollout.runs.readiness import Predict
from trimaran.served.decoding import MEASURES, prepare, read
from trimaran.served.image_work import ImageError
from trimaran.training.image.folder import UNKNOWN, shown
from trimaran.training.image.frozen import (
    NewPhotographs,
    ScoredPhotographs,
    new_photographs,
    scored_photographs,
)
from trimaran.training.image.report import least_sure, mistakes
from trimaran.training.image.trained import ImageRun, image_run
from trimaran.training.progress import Watch
from trimaran.training.tabular.data.reading import Source
from trimaran.training.tabular.evaluation.multiclass_metrics import METRIC_NAMES

__all__ = ["PHOTOGRAPHS", "FrozenPhotographs", "page_of_scored"]

_FILES = ("preprocess.json", "labels.txt")
_METRICS = {name: METRIC_NAMES[name] for name in ("accuracy", "macro_f1", "log_loss")}
_FEW = 10
"""Photographs of a class below which its scores say little."""


@dataclass(frozen=True)
class FrozenPhotographs:
    """A finished run that predicts other photographs."""

    run: ImageRun

    def read(self, source: Source, watch: Watch) -> NewFolder:
        """A folder, with or without sub-folders of the run's classes; see `new_photographs`."""
        return NewFolder(self.run, new_photographs(self.run, Path(source.place), watch))


@dataclass(frozen=True)
class NewFolder:
    """Photographs, and the run that predicts them."""

    run: ImageRun
    new: NewPhotographs

    @property
    def notes(self) -> tuple[str, ...]:
        """The files that cannot be used."""
        return self.new.data.notes

    @property
    def rows(self) -> None:
        """They are no records."""

    def page(self) -> str:
        """How many photographs there are of each class, and what is measured of them."""
        data = self.new.data
        page = Page(f"Data of {self.run.name}", shown(data.folder))
        count, known = len(data.files), int(self.new.known.sum())
        page.section(
            "Summary",
            facts([("photographs", count), ("with a class", known)]),
            *(text(note, "warning") for note in self.notes),
        )
        by_class = Counter(data.target.tolist())
        names = [*enumerate(data.classes), (UNKNOWN, "not known")]
        rows = [(name, by_class[code]) for code, name in names]
        page.section("Classes", table(["class", "photographs"], rows))
        shares = np.quantile(data.measures, [0, 0.5, 1], axis=0)
        page.section(
            "Measures",
            table(
                ["measure", "least", "median", "most"],
                [
                    (name, *map(float, column))
                    for name, column in zip(MEASURES, shares.T, strict=True)
                ],
            ),
        )
        return page.html()

    def predict(self, directory: Path, watch: Watch) -> None:
        """Leave the probabilities of all photographs that can be read."""
        run, new = self.run, self.new
        scored = scored_photographs(run, new, watch)
        data, known = new.data, int(new.known.sum())
        about = {
            "source": shown(data.folder),
            "data": {
                "photographs": len(data.files),
                "classes": list(data.classes),
                "digest": data.digest(),
            },
        }
        test: dict[str, Any] = {"rows": 0}
        if scored.scores is not None:
            test = {**_comparable(scored), "accuracy_interval": scored.interval}
        notes = [*self.notes, *samples_seen(new.seen, new.samples, "photographs")]
        metrics = metrics_of(run, (), test, scored.drift, notes, parts(known, len(data.files)))
        html = page_of_scored(run, new, scored, notes)
        leave(directory, run, about, _predictions(new, scored), html, metrics, _FILES)


@dataclass(frozen=True)
class TrialOfPhotographs:
    """What is served of a run, to be tried: how it prepares photographs, and its network."""

    run: ImageRun

    def module(self) -> nn.Module:
        """Pixels to logits."""
        return self.run.network()

    def batch(self, rows: int) -> npt.NDArray[np.float32]:
        """Photographs of the training part, float32 `[rows, 3, size, size]`."""
        crops, settings = self.run.samples(), replace(self.run.settings(), crop=1.0)
        pixels = [prepare(Image.fromarray(crop), settings) for crop in crops[:rows]]
        return np.stack([pixels[place % len(pixels)] for place in range(rows)])

    def missing(self, predict: Predict) -> str:
        """No file at all, and a plain picture, in which nothing is to be seen."""
        settings = self.run.settings()
        try:
            read(b"", settings)
            empty = "answered"
        except ImageError:
            empty = "refused"
        plain = Image.new("RGB", (settings.size, settings.size))
        (found,) = predict(prepare(plain, settings)[np.newaxis])
        black = "answered" if np.isfinite(found).all() else "answered without a number"
        return f"An empty file is {empty}, and a black picture is {black}."


def page_of_scored(
    run: ImageRun, new: NewPhotographs, scored: ScoredPhotographs, notes: Sequence[str]
) -> str:
    """The results report of new photographs, as HTML."""
    data, before = new.data, run.metrics()["test"]
    now = _comparable(scored)
    scores = {name: (now[key], before[key]) for key, name in _METRICS.items() if key in now}
    page = predicted_page(run.name, run, shown(data.folder))
    found = Result(
        "photographs",
        len(data.files),
        int(new.known.sum()),
        _METRICS["accuracy"],
        scores,
        scored.interval,
        before["accuracy_interval"],
    )
    page.section("Result", *result(found))
    page.section("Drift", *drift(scored.drift, "the photographs that were held out in training"))
    decided = np.bincount(scored.probability.argmax(axis=1), minlength=len(data.classes))
    held_out = np.array(before["confusion"]).sum(axis=0)
    page.section(
        "Answers",
        table(
            ["decided", "photographs", "share", "share in the test part of training"],
            [
                (name, int(count), f"{count / decided.sum():.1%}", f"{was / held_out.sum():.1%}")
                for name, count, was in zip(data.classes, decided, held_out, strict=True)
            ],
        ),
    )
    if scored.scores is not None:
        rows = np.flatnonzero(new.known)
        page.section("Worst mistakes", *mistakes(data, rows, scored.probability[rows]))
    every = np.arange(len(data.files))
    page.section(
        "Least sure",
        text("The photographs whose most probable class has the least probability."),
        least_sure(data, every, scored.probability),
    )
    page.section("Data", *notes_on(notes, "photographs"))
    return page.html()


def _comparable(scored: ScoredPhotographs) -> dict[str, Any]:
    """The scores that mean the same as in training: not a mean over classes, where some lack."""
    if scored.scores is None:
        return {}
    found = scored.scores.as_dict()
    if not all(each.rows for each in scored.scores.classes):
        del found["macro_f1"]
    return found


def _predictions(new: NewPhotographs, scored: ScoredPhotographs) -> Iterator[Sequence[Any]]:
    data = new.data
    yield ["file", "part", "class", *data.classes]
    for file, code, found in zip(data.files, data.target, scored.probability, strict=True):
        known = code != UNKNOWN
        label = data.classes[code] if known else ""
        yield [shown(file), TEST if known else NEW, label, *map(str, found)]


def _figures(directory: Path) -> Figures:
    run = ImageRun(directory)
    test = run.metrics()["test"]
    settings = run.settings()
    return figures_of_metrics(
        run,
        "accuracy",
        _METRICS,
        test.get("accuracy_interval"),
        takes=(
            f"It sees the central {settings.crop:.1%} of a photograph's shorter side, in "
            f"{settings.size} x {settings.size} pixels."
        ),
        target=f"which of these a photograph shows: {', '.join(run.labels())}",
        slices=[_slice(each) for each in test.get("classes", ())],
    )


def _slice(found: dict[str, Any]) -> Slice:
    scores = {"F1": found["f1"], "precision": found["precision"], "recall": found["recall"]}
    rows = int(found["rows"])
    return Slice("class", str(found["label"]), rows, scores, small=rows < _FEW)


PHOTOGRAPHS = Family(
    "photographs",
    lambda directory: image_run(directory) is not None,
    _figures,
    lambda directory: TrialOfPhotographs(ImageRun(directory)),
    lambda directory: FrozenPhotographs(ImageRun(directory)),
)
