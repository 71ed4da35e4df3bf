"""The values inside an artifact: at the example, and at other data and sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["Observation", "observe"]

Values = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Observation:
    """The values of a graph by name.

    At the example, at other data of the example's shape, and at other rows and lengths.
    """

    example: Values
    alike: Values
    other: Values
    example_rows: int
    other_rows: int

    def shape(self, name: str) -> tuple[int, ...]:
        """A value's shape at the example; empty where it is not known."""
        return self.example[name].shape if name in self.example else ()

    def rows(self) -> list[str]:
        """Floating values whose first axis is the batch."""
        return [
            name
            for name, value in self.example.items()
            if value.dtype.kind == "f"
            and value.ndim > 1
            and np.isfinite(value).all()
            and value.ndim == self.other[name].ndim
            and value.shape[0] == self.example_rows
            and self.other[name].shape[0] == self.other_rows
        ]

    def sizes(self) -> list[str]:
        """Integers that follow from the shape of the inputs alone, and not from their values."""
        return [
            name
            for name, value in self.example.items()
            if value.dtype.kind == "i"
            and value.ndim <= 1
            and np.array_equal(value, self.alike[name])
            and not np.array_equal(value, self.other[name])
        ]


def observe(
    names: Sequence[str], runs: Sequence[Sequence[np.ndarray]], rows: Sequence[int]
) -> Observation:
    """Three runs' values in the order of `names`, and how many rows each was of."""
    example, alike, other = (dict(zip(names, run, strict=True)) for run in runs)
    return Observation(example, alike, other, rows[0], rows[2])
