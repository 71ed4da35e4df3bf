"""The images that a model is expected to see: a folder, which becomes the reference for drift.

The environment variable `TRIMARAN_IMAGES` names it. Its JPEG, PNG and WebP files count, those of
folders in it too: images as clients send them, neither cropped nor resized.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from rich.progress import track

from trimaran.served.decoding import ImageError, ImageSettings, measure, read
from trimaran.served.ranking import rank
from trimaran.system.console import console
from trimaran.system.errors import TrimaranError
from trimaran.training.image_reference import ImageReference, reference_of

__all__ = ["LEAST_IMAGES", "VARIABLE", "describe_images", "expected_images"]

VARIABLE = "TRIMARAN_IMAGES"
LEAST_IMAGES = 100
"""Fewer would have a few images in each bin, and chance would decide."""

_MOST_IMAGES = 2000
"""Of more, so many are taken, evenly spread: the shares of the bins hardly change."""
_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
_BATCH = 32


def expected_images() -> list[Path] | None:
    """The files that describe what is expected, in order; None where the variable is not set.

    Raises `TrimaranError` if it names no folder, or one with too few images.
    """
    named = os.environ.get(VARIABLE)
    if not named:
        return None
    folder = Path(named)
    if not folder.is_dir():
        raise TrimaranError(f"{VARIABLE} names {named}, which is no folder; name one with images")
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
    """How images are distributed, with the classes that a network gives them.

    `classify` gives logits `[batch, classes]` of float32 `[batch, 3, size, size]`. A file that
    serving would refuse is left out, and how many those are is said on standard error. Raises
    `TrimaranError` if too few are left.
    """
    screen = console(stderr=True)
    measures, best, probability = [], [], []
    batches = [files[start : start + _BATCH] for start in range(0, len(files), _BATCH)]
    for batch in track(batches, "images that are expected", console=screen, transient=True):
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


def _require(images: int, found: str) -> None:
    if images < LEAST_IMAGES:
        raise TrimaranError(f"{found} {images} images; a reference takes {LEAST_IMAGES} or more")
