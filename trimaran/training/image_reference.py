"""The reference for drift of images: the bins that are counted, and the expected images in each.

| feature | bins |
|---|---|
| `brightness`, `contrast` | deciles of the expected images; fixed bins without them |
| `shorter_side`, `aspect` | fixed bins, since expected images are often all of one size |
| `label` | the 20 most frequent classes and `other`; 20 blocks of classes without expected images |
| `probability` | ten bins between 0 and 1, of the best class |

A bin for each of a thousand classes would make a thousand series, and over a few hundred images
their shares would differ more by chance than by drift. Where the frequent classes are not known,
neighbouring classes share a bin: in ImageNet's order they are related.

The expected images are the JPEG, PNG and WebP files below the folder that the environment variable
`TRIMARAN_IMAGES` names: as clients send them, neither cropped nor resized.
"""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.progress import track

from trimaran.served.decoding import MEASURES, ImageSettings, measure, read
from trimaran.served.distribution import OTHER, Feature, Reference, described, number_edges
from trimaran.served.image_work import ImageError
from trimaran.served.ranking import rank
from trimaran.system.console import console
from trimaran.system.errors import TrimaranError

__all__ = [
    "LEAST_IMAGES",
    "VARIABLE",
    "ImageReference",
    "describe_images",
    "expected_images",
    "fixed_bins",
    "reference_of",
]

_MOST_LABELS = 20
_EDGES = {
    "brightness": tuple(range(32, 256, 32)),
    "contrast": tuple(range(16, 112, 16)),
    "shorter_side": (100, 200, 300, 400, 600, 850, 1250, 1800, 2600),
    "aspect": (0.6, 0.7, 0.9, 1.1, 1.4, 1.6),
}
"""Edges of sizes and shapes lie between common values, so that rounding moves none of those."""
_BY_TENTHS = ("brightness", "contrast")
_PROBABILITY = Feature("probability", "answer", (), tuple(tenth / 10 for tenth in range(1, 10)))

VARIABLE = "TRIMARAN_IMAGES"
LEAST_IMAGES = 100
"""With fewer, each bin has only a few images, and chance decides."""

_MOST_IMAGES = 2000
"""Of a larger folder this many are taken, evenly spread: the bins' shares barely change."""
_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
_BATCH = 32


@dataclass(frozen=True)
class ImageReference:
    """Bins that preprocessing counts images in, and bins that labelling counts answers in."""

    images: Reference
    answers: Reference


def expected_images() -> list[Path] | None:
    """The expected images' files, in order; None where `TRIMARAN_IMAGES` is not set.

    Raises `TrimaranError` if it names no folder, or one with too few images.
    """
    named = os.environ.get(VARIABLE)
    if not named:
        return None
    folder = Path(named)
    if not folder.is_dir():
        raise TrimaranError(
            f"{VARIABLE} names {named}, which is not a folder; name one with images"
        )
    files = sorted(
        path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES and path.is_file()
    )
    _require(len(files), f"{named}, which {VARIABLE} names, holds")
    taken = min(len(files), _MOST_IMAGES)
    return [files[place * len(files) // taken] for place in range(taken)]


def describe_images(
    files: Sequence[Path],
    settings: ImageSettings,
    classify: Callable[[np.ndarray], np.ndarray],
    labels: Sequence[str],
) -> ImageReference:
    """How images and the classes that a network gives them are distributed.

    `classify` gives logits `[batch, classes]` of float32 `[batch, 3, size, size]`. A file that
    serving would refuse is left out, and standard error shows how many were. Raises `TrimaranError`
    if too few are left.
    """
    screen = console(stderr=True)
    measures, best, probability = [], [], []
    batches = [files[start : start + _BATCH] for start in range(0, len(files), _BATCH)]
    for batch in track(batches, "expected images", console=screen, transient=True):
        photographs = []
        for path in batch:
            try:
                photographs.append(read(path.read_bytes(), settings))
            except (ImageError, OSError):
                continue
        if photographs:
            measures += [measure(photograph) for photograph in photographs]
            logits = classify(np.stack([photograph.pixels for photograph in photographs]))
            classes, probabilities = rank(logits, 1)
            best.append(classes[:, 0])
            probability.append(probabilities[:, 0])
    left_out = len(files) - len(measures)
    _require(len(measures), f"{left_out} of {len(files)} files cannot be read, which leaves")
    if left_out:
        screen.print(f"{left_out} of {len(files)} images cannot be read and are left out")
    return reference_of(
        np.array(measures), np.concatenate(best), np.concatenate(probability), labels
    )


def fixed_bins(labels: Sequence[str]) -> ImageReference:
    """Bins without rows, for images that nothing is known about; `labels` names the classes."""
    if len(labels) <= _MOST_LABELS:
        label = Feature("label", "label", (), values=_distinct(labels))
    else:
        block = math.ceil(len(labels) / _MOST_LABELS)
        label = Feature("label", "label", (), tuple(range(block, len(labels), block)))
    images = [Feature(name, "measure", (), _EDGES[name]) for name in MEASURES]
    return ImageReference(Reference(images), Reference([label, _PROBABILITY]))


def reference_of(
    measures: npt.NDArray[np.float64],
    best: npt.NDArray[np.int64],
    probability: npt.NDArray[np.floating],
    labels: Sequence[str],
) -> ImageReference:
    """The bins of expected images, and how many of these images are in each.

    `measures` `[images, 4]` are the images' `MEASURES`; `best` and `probability` `[images]` are
    the number and the probability of each image's best class, and `labels` names the classes.
    """
    images = []
    for name, values in zip(MEASURES, measures.T, strict=True):
        edges = number_edges(values).tolist() if name in _BY_TENTHS else _EDGES[name]
        images.append(Feature(name, "measure", (), edges))
    frequent = Counter(sorted(best.tolist())).most_common()  # the lower class first of equals
    names = _distinct([labels[number] for number, _ in frequent])
    label = Feature("label", "label", (), values=names[:_MOST_LABELS])
    codes = label.codes(labels)[best]
    rows = len(measures)
    return ImageReference(
        described(Reference(images), measures, np.empty((0, rows), np.int64)),
        described(
            Reference([label, _PROBABILITY]), np.empty((rows, 0)), codes[np.newaxis], [probability]
        ),
    )


def _require(images: int, found: str) -> None:
    if images < LEAST_IMAGES:
        raise TrimaranError(f"{found} {images} images; a reference takes {LEAST_IMAGES} or more")


def _distinct(labels: Sequence[str]) -> list[str]:
    """Labels that can name a bin: each once, and none that is the name of the bin `other`."""
    return [label for label in dict.fromkeys(labels) if label != OTHER]
