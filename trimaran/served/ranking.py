"""From logits to the most probable classes."""

from __future__ import annotations

import numpy as np

__all__ = ["rank"]


def rank(logits: np.ndarray, top: int) -> tuple[np.ndarray, np.ndarray]:
    """The classes and probabilities of float32 `[batch, classes]`, best first, each `[batch, top]`.

    Probabilities are the softmax over all classes; of equal ones the lower class comes first.
    """
    order = np.argsort(-logits, axis=1, kind="stable")[:, :top]
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = shifted / shifted.sum(axis=1, keepdims=True)
    return order, np.take_along_axis(probabilities, order, axis=1)
