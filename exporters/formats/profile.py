"""The shapes that a TensorRT engine is built for: the least, the usual, and the largest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from exporters.spec import ModelSpec

__all__ = ["ShapeRange", "profile_of"]

_USUAL_BATCH = 8
"""What dynamic batching gathers under load, and what kernels are chosen for."""


@dataclass(frozen=True)
class ShapeRange:
    """One input's shapes, batch first."""

    least: tuple[int, ...]
    usual: tuple[int, ...]
    most: tuple[int, ...]


def profile_of(spec: ModelSpec, max_batch_size: int) -> Mapping[str, ShapeRange]:
    """The range of each input: 1 to `max_batch_size` rows, and the span of its dynamic axes.

    The usual length of a dynamic axis is its example's.
    """
    axes = spec.axes
    profile = {}
    for name, example in spec.example_inputs.items():
        usual = list(example.shape[1:])
        least, most = list(usual), list(usual)
        for axis, item in axes.get(name, {}).items():
            least[axis - 1], most[axis - 1] = item.least, item.most
        profile[name] = ShapeRange(
            (1, *least), (min(_USUAL_BATCH, max_batch_size), *usual), (max_batch_size, *most)
        )
    return profile
