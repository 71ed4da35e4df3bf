"""By which bins an image ensemble counts, and how many of the images it is to expect are in each.

| feature | bins |
|---|---|
| `brightness`, `contrast` | tenths of the expected images, or fixed ones |
| `shorter_side`, `aspect` | fixed ones, since expected images are often all of one size |
| `label` | the most frequent classes of the expected images, and `other`; or blocks of classes |
| `probability` | tenths between 0 and 1, of the best class |

A thousand classes by themselves would be a thousand series, and over some hundred images their
shares would differ by chance more than by drift. Where nobody knows which of them are frequent,
neighbours are counted together, which in ImageNet's order are kin.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trimaran.served.decoding import MEASURES
from trimaran.served.distribution import OTHER, Feature, Reference, described, number_edges

__all__ = ["ImageReference", "fixed_bins", "reference_of"]

_MOST_LABELS = 20
_EDGES = {
    "brightness": tuple(range(32, 256, 32)),
    "contrast": tuple(range(16, 112, 16)),
    "shorter_side": (100, 200, 300, 400, 600, 850, 1250, 1800, 2600),
    "aspect": (0.6, 0.7, 0.9, 1.1, 1.4, 1.6),
}
"""Those of sizes and shapes lie between common ones, which rounding would move otherwise."""
_BY_TENTHS = ("brightness", "contrast")
_PROBABILITY = Feature("probability", "answer", (), tuple(tenth / 10 for tenth in range(1, 10)))


@dataclass(frozen=True)
class ImageReference:
    """What preprocessing counts of images, and what labelling counts of answers."""

    images: Reference
    answers: Reference


def fixed_bins(labels: Sequence[str]) -> ImageReference:
    """Bins for images that nothing is known of, without rows; `labels` names the classes."""
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
    """The bins of images that are expected, and how many of them are in each.

    `measures` `[images, 4]` are the images' `MEASURES`; `best` and `probability` `[images]` are
    the number and the probability of each image's best class, and `labels` names the classes.
    """
    images = []
    for name, values in zip(MEASURES, measures.T, strict=True):
        edges = number_edges(values).tolist() if name in _BY_TENTHS else _EDGES[name]
        images.append(Feature(name, "measure", (), edges))
    frequent = Counter(sorted(best.tolist())).most_common()  # the lower first of equal ones
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


def _distinct(labels: Sequence[str]) -> list[str]:
    """Labels that can name a bin: each once, and none that is the name of the others' bin."""
    return [label for label in dict.fromkeys(labels) if label != OTHER]
