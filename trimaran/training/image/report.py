"""The report on a training, as one HTML page."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from markupsafe import Markup
from matplotlib.figure import Figure
from PIL import Image

from trimaran.pages.confusion import confusion_figure
from trimaran.pages.figures import ACCENT, INK, NEGATIVE, PANEL, TEXT, plain_axes
from trimaran.pages.page import Page, facts, figure, photograph, table, text
from trimaran.served.decoding import read
from trimaran.stats.intervals import wilson
from trimaran.training.efficientnet_lite0 import SETTINGS
from trimaran.training.image.folder import shown
from trimaran.training.image.photographs import Photographs
from trimaran.training.tabular.data.split import Split
from trimaran.training.tabular.evaluation.multiclass_metrics import (
    MulticlassScores,
    macro_f1_interval,
)

__all__ = [
    "FINE_TUNED",
    "FROZEN",
    "Judged",
    "Plain",
    "kept_epoch",
    "least_sure",
    "mistakes",
    "report",
]

FINE_TUNED, FROZEN = "fine-tuned", "frozen backbone"
"""The two networks: the last stages trained, or only the head."""

_MOST_CELLS = 12
"""Classes whose confusion matrix is drawn."""
_WORST = 12
"""Mistakes that are shown."""
_THUMBNAIL = 96
"""Pixels of a side."""
_FEW = 100
"""Test photographs below which the page says that they are few."""


@dataclass(frozen=True)
class Plain:
    """The scores of deciding the most common class for every photograph."""

    label: str
    accuracy: float
    macro_f1: float


@dataclass(frozen=True)
class Judged:
    """A network's scores, and its probabilities of both parts, float32 `[rows, classes]`."""

    validation: MulticlassScores
    test: MulticlassScores
    validated: npt.NDArray[np.float32]
    tested: npt.NDArray[np.float32]

    def accuracy_interval(self) -> tuple[float, float]:
        """The 95 % score interval: one without a mistake has an interval all the same."""
        return wilson(round(self.test.accuracy * self.test.rows), self.test.rows)

    def macro_f1_interval(self, seed: int) -> tuple[float, float]:
        """The 95 % bootstrap interval."""
        return macro_f1_interval(np.array(self.test.confusion, np.int64), seed)


def report(
    data: Photographs,
    parts: Split,
    seed: int,
    judged: Mapping[str, Judged],
    plain: Plain,
    losses: Sequence[float],
) -> str:
    """The page as HTML; the first of `judged` is the run's own network.

    `losses` are those on the validation part, of the frozen backbone and after each epoch.
    """
    own, *_ = judged
    page = Page(
        f"{data.name}: {own}, seed {seed}",
        f"EfficientNet-Lite0 on the photographs of {shown(data.folder.resolve().name)}",
    )
    page.section("Result", *_headline(judged[own], plain, seed))
    page.section("Compared", *_comparison(judged, plain))
    page.section("Classes", *_classes(data, judged[own].test))
    page.section("Worst mistakes", *mistakes(data, parts.test, judged[own].tested))
    if len(losses) > 1:
        page.section("Fine-tuning", text(f"{kept_epoch(losses).capitalize()}."), _course(losses))
    page.section("Data", *_data(data, parts))
    return page.html()


def kept_epoch(losses: Sequence[float]) -> str:
    """Whose weights were kept, of the frozen backbone and the epochs after it."""
    best = int(np.argmin(losses))
    if not best:
        return f"no epoch of {len(losses) - 1} was better than the head alone, which was kept"
    return f"epoch {best} of {len(losses) - 1} was the best, and its weights were kept"


def _headline(own: Judged, plain: Plain, seed: int) -> Iterator[Markup]:
    test = own.test
    accuracy, f1 = own.accuracy_interval(), own.macro_f1_interval(seed)
    yield facts(
        [
            ("accuracy on test", f"{test.accuracy:.3f}"),
            ("95 % interval", f"{accuracy[0]:.3f}\N{EN DASH}{accuracy[1]:.3f}"),
            ("macro F1", f"{test.macro_f1:.3f}"),
            ("95 % interval", f"{f1[0]:.3f}\N{EN DASH}{f1[1]:.3f}"),
            ("log loss", f"{test.log_loss:.3f}"),
            ("always the most common", f"{plain.accuracy:.3f}"),
        ]
    )
    yield text(
        f"The test part has {test.rows} photographs. It was scored once, after the weights were "
        "fixed. Macro F1 is the mean of the classes' F1, so rare classes count as much as frequent "
        "ones. The interval of the accuracy is Wilson's, and that of macro F1 is from 2,000 "
        "bootstrap resamples of those photographs; neither includes the variation between splits. "
        f"Deciding {plain.label} for every photograph would give an accuracy of "
        f"{plain.accuracy:.3f} and a macro F1 of {plain.macro_f1:.3f}."
    )
    if test.accuracy == 1:
        yield text(
            "No photograph was decided wrongly, so every resample is right too, and the interval "
            "of macro F1 says nothing; read that of the accuracy.",
            "warning",
        )
    if test.rows < _FEW:
        yield text(
            f"{test.rows} photographs are few: another test part may well give another figure.",
            "warning",
        )


def _comparison(judged: Mapping[str, Judged], plain: Plain) -> Iterator[Markup]:
    rows = [
        (name, each.test.accuracy, each.test.macro_f1, each.test.log_loss, each.validation.log_loss)
        for name, each in judged.items()
    ]
    last = (f"always {plain.label}", plain.accuracy, plain.macro_f1, None, None)
    yield table(
        ["test part", "accuracy", "macro F1", "log loss", "validation log loss"], [*rows, last]
    )


def _classes(data: Photographs, test: MulticlassScores) -> Iterator[Markup]:
    yield table(
        ["class", "photographs", "decided", "precision", "recall", "F1"],
        [
            (one.label, one.rows, one.decided, one.precision, one.recall, one.f1)
            for one in test.classes
        ],
    )
    if len(data.classes) <= _MOST_CELLS:
        yield figure(
            confusion_figure(np.array(test.confusion), data.classes),
            "Photographs of the test part by true and decided class.",
            "the confusion matrix",
        )


def mistakes(
    data: Photographs, rows: npt.NDArray[np.int64], found: npt.NDArray[np.float32]
) -> Iterator[Markup]:
    """The photographs whose own class has the least probability, as the network sees them.

    `found` are the probabilities of `rows`, float32 `[rows, classes]`.
    """
    target, decided = data.target[rows], found.argmax(axis=1)
    given = found[np.arange(len(target)), target]
    worst = [at for at in np.argsort(given, kind="stable") if decided[at] != target[at]]
    yield text(
        f"{len(worst)} of {len(target)} photographs are decided wrongly."
        + (f" These are the {_WORST} worst." if len(worst) > _WORST else "")
    )
    if not worst:
        return
    cells = [
        (
            *_pictured(data, int(rows[at])),
            data.classes[target[at]],
            f"{given[at]:.3f}",
            data.classes[decided[at]],
            f"{found[at, decided[at]]:.3f}",
        )
        for at in worst[:_WORST]
    ]
    yield table(["photograph", "file", "is", "probability", "decided", "probability"], cells)


def least_sure(
    data: Photographs, rows: npt.NDArray[np.int64], found: npt.NDArray[np.float32]
) -> Markup:
    """The photographs whose most probable class has the least probability; as in `mistakes`."""
    best = found.max(axis=1)
    cells = [
        (
            *_pictured(data, int(rows[at])),
            data.classes[found[at].argmax()],
            f"{best[at]:.3f}",
        )
        for at in np.argsort(best, kind="stable")[:_WORST]
    ]
    return table(["photograph", "file", "decided", "probability"], cells)


def _pictured(data: Photographs, row: int) -> tuple[Markup, str]:
    name = shown(data.files[row])
    return photograph(_thumbnail(data.data(row)), name), name


def _thumbnail(data: bytes) -> bytes:
    crop = Image.fromarray(read(data, SETTINGS).crop)
    small = crop.resize((_THUMBNAIL, _THUMBNAIL), Image.Resampling.BOX)
    file = io.BytesIO()
    small.save(file, "JPEG", quality=80)
    return file.getvalue()


def _course(losses: Sequence[float]) -> Markup:
    drawn = Figure(figsize=(PANEL, 2.8), layout="constrained")
    axes = drawn.subplots()
    plain_axes(axes)
    axes.set_title("log loss on the validation part", loc="left", fontsize=TEXT, color=INK)
    axes.plot(range(len(losses)), losses, color=NEGATIVE, marker="o", markersize=4)
    best = int(np.argmin(losses))
    axes.plot([best], [losses[best]], color=ACCENT, marker="o", markersize=8)
    axes.set_xticks(range(len(losses)))
    axes.set_xlabel("epoch")
    return figure(
        drawn,
        "Epoch 0 is the frozen backbone. The large point is the least, whose weights were kept.",
        "the log loss by epoch",
    )


def _data(data: Photographs, parts: Split) -> Iterator[Markup]:
    counts = {
        part: np.bincount(data.target[rows], minlength=len(data.classes))
        for part, rows in parts.parts().items()
    }
    yield table(
        ["class", *counts],
        [
            (label, *(int(each[code]) for each in counts.values()))
            for code, label in enumerate(data.classes)
        ],
    )
    for note in data.notes:
        yield text(f"{note[0].upper()}{note[1:]}.")
