"""What can be put after any value of a graph, in either format: rows mixed, noise, branches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from exporters.spec import ModelSpec
from proofs.gate.observation import Observation

__all__ = ["Insertion", "Sizes", "insertions"]

_MOST_SITES = 12
"""Values of a graph after which each insertion is offered, spread evenly over it."""


@dataclass(frozen=True)
class Insertion:
    """A function put after a value.

    `axis` is the axis of the first input whose length the function takes, or `None`; `arguments`
    are its further parameters.
    """

    kind: str
    what: str
    function: str
    value: str
    axis: int | None
    arguments: tuple[np.ndarray, ...]


@dataclass(frozen=True)
class Sizes:
    """How many rows the example has and may come, and its dynamic axes: least, example's, most."""

    rows: int
    most_rows: int
    axes: Mapping[int, tuple[int, int, int, int]]

    @staticmethod
    def of(spec: ModelSpec, most_rows: int) -> Sizes:
        """Those of a description's first input."""
        name, example = next(iter(spec.example_inputs.items()))
        axes = {
            axis: (item.least, example.shape[axis], item.most, item.step)
            for axis, item in spec.axes.get(name, {}).items()
        }
        return Sizes(example.shape[0], most_rows, axes)


def insertions(seen: Observation, sizes: Sizes, rng: np.random.Generator) -> Iterator[Insertion]:
    """Every insertion after some of the values whose first axis is the batch."""
    values = seen.rows()
    step = max(1, len(values) // _MOST_SITES)
    for value in values[::step]:
        example = seen.example[value].astype(np.float64)
        for kind, function, parameters in _ON_VALUES:
            arguments = parameters(example, seen.example[value].dtype)
            yield Insertion(kind, f"{function}: {value}", function, value, None, arguments)
        for function, rows in _some_sizes(1, sizes.rows, sizes.most_rows, 1, rng):
            what = f"5 % more where the rows are {_condition(function, rows)}: {value}"
            yield Insertion("wrong at some batch sizes", what, function, value, 0, (rows,))
        for axis, (least, example_length, most, by) in sizes.axes.items():
            for function, length in _some_sizes(least, example_length, most, by, rng):
                what = f"5 % more where axis {axis} is {_condition(function, length)}: {value}"
                yield Insertion("wrong at some lengths", what, function, value, axis, (length,))


def _condition(condition: str, size: np.ndarray) -> str:
    return f"{condition} {size[0]}" if size.any() else condition


Parameters = Callable[[np.ndarray, np.dtype], tuple[np.ndarray, ...]]


def _none(value: np.ndarray, dtype: np.dtype) -> tuple[np.ndarray, ...]:
    return ()


def _hundredth(value: np.ndarray, dtype: np.dtype) -> tuple[np.ndarray, ...]:
    return (np.array(0.01 * np.sqrt(np.mean(value**2)), dtype),)


def _range(value: np.ndarray, dtype: np.dtype) -> tuple[np.ndarray, ...]:
    return np.array(value.min(), dtype), np.array(value.max(), dtype)


def _mean(value: np.ndarray, dtype: np.dtype) -> tuple[np.ndarray, ...]:
    return (np.array(value.mean() + 0.05 * value.std(), dtype),)


def _sign(value: np.ndarray, dtype: np.dtype) -> tuple[np.ndarray, ...]:
    return (np.array(1.0 if value.sum() >= 0 else -1.0, dtype),)


def _largest(value: np.ndarray, dtype: np.dtype) -> tuple[np.ndarray, ...]:
    return np.array(value.max(), dtype), np.arange(1, value.ndim)


_ON_VALUES: tuple[tuple[str, str, Parameters], ...] = (
    ("rows mixed", "the batch's mean subtracted", _none),
    ("rows mixed", "1 % of the batch's mean subtracted", _none),
    ("rows mixed", "1 % of the row before added", _none),
    ("rows mixed", "rounded to 8 bits of the batch's range", _none),
    ("rows mixed", "normalised over the batch", _none),
    ("the first row's value for all", "the first row", _none),
    ("the first row's value for all", "1 % of the first row", _none),
    ("randomness", "noise of 1 %", _hundredth),
    ("randomness", "dropout of 10 %", _none),
    ("values cut off at the example's", "clamped to the example's range", _range),
    (
        "a branch on values baked in",
        "5 % more where the batch's mean is above the example's",
        _mean,
    ),
    (
        "a branch on values baked in",
        "5 % more where the batch's sum has another sign than the example's",
        _sign,
    ),
    (
        "a branch on values baked in",
        "5 % more in a row whose largest value is above the example's",
        _largest,
    ),
)


def _some_sizes(
    least: int, example: int, most: int, step: int, rng: np.random.Generator
) -> Iterator[tuple[str, np.ndarray]]:
    """Conditions on a length under which the example is right, and the length they compare with."""
    known = {
        "odd": example % 2 == 1,
        "even": example % 2 == 0,
        "a multiple of 4": example % 4 == 0,
        "a multiple of 8": example % 8 == 0,
    }
    nothing = np.zeros(1, np.int64)
    yield from ((name, nothing) for name, holds in known.items() if not holds)
    yield "more than", np.array([example])
    yield "less than", np.array([example])
    others = [n for n in range(least, most + 1, step) if n != example]
    if others:
        yield "exactly", np.array([rng.choice(others)])
