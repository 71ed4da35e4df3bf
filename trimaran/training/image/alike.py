"""Which photographs are nearly the same picture: copies that were resized, or compressed again.

A picture's signature is its brightness in a coarse grid, of what a network sees of the photograph.
Copies of photographs at half their size, or at a JPEG quality of 30, differed by 1 level of 256 in
the mean, and by 7 at most in a place.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

__all__ = ["SIDE", "Signature", "groups_of", "signature"]

SIDE = 16
_MOST_MEAN, _MOST_PLACE = 1.5, 10
"""Levels of 256 by which two signatures of one picture may differ: in the mean, and in a place."""

Signature = npt.NDArray[np.uint8]


def signature(crop: npt.NDArray[np.uint8]) -> Signature:
    """uint8 `[SIDE, SIDE]`, of a picture `[height, width, 3]`."""
    grey = Image.fromarray(crop).convert("L")
    return np.asarray(grey.resize((SIDE, SIDE), Image.Resampling.BOX))


def groups_of(signatures: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """The group of each of `[pictures, SIDE, SIDE]`: its first picture, int64 `[pictures]`.

    A picture is in a group with all that are nearly the same as any in it.
    """
    flat = signatures.reshape(len(signatures), -1).astype(np.int16)
    mean = flat.mean(axis=1)
    order = np.argsort(mean, kind="stable")
    # Only pictures of like brightness can be nearly the same.
    ends = np.searchsorted(mean[order], mean[order] + _MOST_MEAN, side="right")
    groups = np.arange(len(signatures))
    for place, row in enumerate(order):
        others = order[place + 1 : ends[place]]
        differ = np.abs(flat[others] - flat[row])
        near = (differ.mean(axis=1) <= _MOST_MEAN) & (differ.max(axis=1) <= _MOST_PLACE)
        for other in others[near]:
            first, second = sorted((groups[row], groups[other]))
            groups[groups == second] = first
    return groups
