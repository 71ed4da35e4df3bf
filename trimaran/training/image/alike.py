"""Which photographs are nearly the same picture: copies that were resized, or compressed again.

A picture's signature has the differences of neighbouring brightness in a grid (a difference hash,
N. Krawetz, "Kind of Like That", 2013), and the brightness itself. It is taken of what a network
sees of the photograph.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

__all__ = ["Signature", "groups_of", "signature"]

_SIDE = 16
_MOST_BITS = 16
"""Of 256, in which two signatures of one picture may differ."""
_MOST_LEVELS = 6.0
"""Of 256, by which their brightness may differ in the mean."""

Signature = npt.NDArray[np.uint8]


def signature(crop: npt.NDArray[np.uint8]) -> Signature:
    """uint8 `[16, 17]`, of a picture `[height, width, 3]`."""
    grey = Image.fromarray(crop).convert("L")
    return np.asarray(grey.resize((_SIDE + 1, _SIDE), Image.Resampling.BOX))


def groups_of(signatures: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """The group of each of `[pictures, 16, 17]`: the first picture in it, int64 `[pictures]`.

    A picture is in a group with all that are nearly the same as any in it.
    """
    bits = signatures[:, :, 1:] > signatures[:, :, :-1]
    words = np.packbits(bits.reshape(len(bits), -1), axis=1).view(np.uint64)
    flat = signatures.reshape(len(signatures), -1).astype(np.int16)
    groups = np.arange(len(signatures))
    for row in range(len(signatures)):
        differ = np.bitwise_count(words[row + 1 :] ^ words[row]).sum(axis=1)
        near = row + 1 + np.flatnonzero(differ <= _MOST_BITS)
        near = near[groups[near] != groups[row]]
        levels = np.abs(flat[near] - flat[row]).mean(axis=1)
        for other in near[levels <= _MOST_LEVELS]:
            pair = sorted((groups[row], groups[other]))
            groups[groups == pair[1]] = pair[0]
    return groups
