"""Inputs made up from dtypes and shapes, drawn so that faults of batching become visible.

Rows differ, each on its own scale: the influence of one row on another is largest on a row of small
numbers next to one of large numbers. Integers go as far as the file takes them, since an index, a
byte or a count near 0 shows little. Masks, and sequences with them, are padded at the end, at
the start, nowhere, and nearly everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np

from exporters.artifacts.artifact import FileTensor
from trimaran.repository import dtypes
from trimaran.system.errors import ArtifactError

__all__ = ["BASES", "Drawing", "Pattern", "drawings", "most_below"]

_LENGTHS = (4, 1, 32, 224, 1024, 16000)
"""Lengths to try for open axes: a window may need many, a fixed reshape only one, and 16000 is a
second of speech."""
_MOST_BYTES = 2**30
_TEXT_BYTES = 64
"""What an element of text is taken to need in memory."""
_MOST_INTEGER = 2**20
"""Where integers of 32 and 64 bits end: above the tokens of any vocabulary."""
_MODEST = 2
"""The bound that every index and mask takes: 0 and 1."""


class Pattern(Enum):
    """How a set of inputs is drawn."""

    MODEST = "floats from 0 to 1, and 0 or 1"
    COUNTS = "floats from 0 to 1, and 1"
    ZEROS = "zeros"
    ONES = "ones"
    WIDE = "as modest, with integers in the upper half of their reach"
    LOUD = "a row of large numbers next to small ones"
    QUIET = "a row of small numbers next to large ones, masks all true"
    PADDED_END = "rows of several lengths, with zeros behind them"
    PADDED_START = "rows of several lengths, with zeros before them"
    PADDED_APART = "rows with zeros before, behind, and between"
    ONE = "zeros but for one place in each row"
    SIGNED = "integers of both signs"


BASES = (Pattern.MODEST, Pattern.COUNTS, Pattern.ZEROS, Pattern.ONES)
"""What a file is tried on first, the most likely first."""
_ANY = (Pattern.LOUD, Pattern.QUIET, Pattern.PADDED_END, Pattern.PADDED_START)
_WHOLE = (Pattern.PADDED_APART, Pattern.ONE, Pattern.SIGNED)

_RANDOM_MASKS = {
    Pattern.MODEST, Pattern.COUNTS, Pattern.WIDE, Pattern.LOUD, Pattern.SIGNED,
}  # fmt: skip
"""Where booleans are drawn evenly; elsewhere they are true but for padding."""
_PADDED = {Pattern.PADDED_END, Pattern.PADDED_START, Pattern.PADDED_APART, Pattern.ONE}
_SCALES = {Pattern.LOUD: (0.1, 8.0, 1.0), Pattern.QUIET: (4.0, 0.05, 8.0)}
"""By what rows are multiplied, over and over."""
_SHARES = {Pattern.LOUD: (0.0, 1.0, 0.05), Pattern.QUIET: (1.0, 0.0, 0.5)}
"""To what share of their bound the integers of a row reach."""


@dataclass(frozen=True)
class Drawing:
    """The shapes of all inputs, the least integer, and the bounds below which they are drawn."""

    tensors: Sequence[FileTensor]
    shapes: Mapping[str, tuple[int, ...]]
    bounds: Mapping[str, int]
    least: int = 0

    def with_bound(self, name: str, bound: int) -> Drawing:
        """The same with another bound for one input."""
        return replace(self, bounds={**self.bounds, name: bound})

    def after(self, base: Pattern) -> Drawing:
        """The same, with integers as those that a file has taken: a count may not be 0."""
        return replace(self, least=1) if base is Pattern.COUNTS else self

    @property
    def patterns(self) -> tuple[Pattern, ...]:
        """What to try once a file has answered: more for indices, counts and masks."""
        return (*_ANY, *_WHOLE) if any(not t.dtype.is_floating for t in self.tensors) else _ANY

    def draw(self, pattern: Pattern) -> dict[str, np.ndarray]:
        """One set of inputs, the same every time."""
        return {
            tensor.name: _fill(
                tensor.dtype,
                self.shapes[tensor.name],
                pattern,
                range(self.least, self.bounds.get(tensor.name, _MODEST)),
                np.random.default_rng((index, list(Pattern).index(pattern))),
            )
            for index, tensor in enumerate(self.tensors)
        }


def drawings(tensors: Sequence[FileTensor], rows: int | None) -> Iterator[Drawing]:
    """What may be drawn, for one length of the open axes after another, the most likely first.

    `rows` is the length of every first axis, or `None` where that is an axis like others. Sets of
    more than 1 GiB are left out.
    """
    is_open = any(
        not isinstance(axis, int)
        for tensor in tensors
        for axis in (tensor.axes if rows is None else tensor.axes[1:])
    )
    for length in _LENGTHS if is_open else _LENGTHS[:1]:
        shapes = {tensor.name: _shape(tensor, rows, length) for tensor in tensors}
        sizes = (math.prod(shapes[t.name]) * _item_bytes(t.dtype) for t in tensors)
        if sum(sizes) <= _MOST_BYTES:
            yield Drawing(tensors, shapes, {})


def most_below(dtype: dtypes.DType) -> int | None:
    """The greatest bound that is tried for integers of a type; `None` for other types."""
    if dtype.numpy is None or dtype.numpy.kind not in "iu":
        return None
    return min(int(np.iinfo(dtype.numpy).max) + 1, _MOST_INTEGER)


def _shape(tensor: FileTensor, rows: int | None, length: int) -> tuple[int, ...]:
    shape = [axis if isinstance(axis, int) else length for axis in tensor.axes]
    return tuple(shape if rows is None else [rows, *shape[1:]])


def _item_bytes(dtype: dtypes.DType) -> int:
    return _TEXT_BYTES if dtype.triton == "BYTES" or dtype.numpy is None else dtype.numpy.itemsize


def _fill(
    dtype: dtypes.DType,
    shape: tuple[int, ...],
    pattern: Pattern,
    reach: range,
    generator: np.random.Generator,
) -> np.ndarray:
    if dtype.triton == "BYTES":
        return _texts(shape, pattern, generator)
    if dtype.numpy is None:
        raise ArtifactError(
            f"there are no arrays of {dtype.triton} to try a model on; convert such inputs in it"
        )
    if pattern in (Pattern.ZEROS, Pattern.ONES):
        return np.full(shape, pattern is Pattern.ONES, dtype=dtype.numpy)
    if dtype.is_floating:
        numbers = _floats(shape, pattern, generator)
    elif dtype.numpy.kind == "b":
        numbers = _booleans(shape, pattern, generator)
    else:
        if pattern is Pattern.SIGNED and dtype.numpy.kind == "i":
            reach = range(-reach.stop, reach.stop)
        numbers = _integers(shape, pattern, reach, generator)
    return np.asarray(numbers * _kept(shape, pattern)).astype(dtype.numpy)


def _floats(shape: tuple[int, ...], pattern: Pattern, generator: np.random.Generator) -> np.ndarray:
    if pattern in (Pattern.MODEST, Pattern.COUNTS, Pattern.WIDE):
        return np.asarray(generator.random(shape))
    scales = _by_row(shape, _SCALES.get(pattern, (1.0,)))
    return np.asarray(generator.standard_normal(shape) * scales)


def _booleans(
    shape: tuple[int, ...], pattern: Pattern, generator: np.random.Generator
) -> np.ndarray:
    if pattern in _RANDOM_MASKS:
        return np.asarray(generator.random(shape) >= 0.5)
    return np.ones(shape, dtype=bool)


def _integers(
    shape: tuple[int, ...],
    pattern: Pattern,
    reach: range,
    generator: np.random.Generator,
) -> np.ndarray:
    if pattern is Pattern.COUNTS:
        return np.ones(shape, dtype=np.int64)
    least, bound = (0, _MODEST) if pattern is Pattern.MODEST else (reach.start, reach.stop)
    if pattern is Pattern.WIDE:
        least = max(least, bound // 2)
    stops = [max(_MODEST, round(bound * share)) for share in _SHARES.get(pattern, (1.0,))]
    drawn = np.asarray(generator.integers(least, _by_row(shape, stops), shape))
    if pattern not in _SHARES and drawn.size:
        drawn.flat[0] = least
        drawn.flat[min(1, drawn.size - 1)] = bound - 1  # indices fail at the ends first
    return np.minimum(drawn, bound - 1)


def _texts(shape: tuple[int, ...], pattern: Pattern, generator: np.random.Generator) -> np.ndarray:
    if pattern in (Pattern.ZEROS, Pattern.ONES):
        return np.full(shape, "0" if pattern is Pattern.ZEROS else "1", dtype=object)
    words = ["0", "1"] if pattern in _RANDOM_MASKS - {Pattern.LOUD} else ["", "7", "a b", "Äpfel"]
    drawn = np.asarray(generator.integers(0, len(words), shape))
    return np.asarray(np.array(words, dtype=object)[drawn]).astype(object)


def _kept(shape: tuple[int, ...], pattern: Pattern) -> np.ndarray:
    """Where values stay, `shape`; elsewhere they are zero.

    Rows keep all but one, half, and one: whether a mask marks what is kept or the padding, no row
    is all padding, which a file may refuse.
    """
    if pattern not in _PADDED or len(shape) < 2:
        return np.ones(shape, dtype=bool)
    length = shape[1]
    row, place = np.arange(shape[0])[:, None], np.arange(length)[None, :]
    if pattern is Pattern.ONE:
        kept = place == row % length
    else:
        counts = np.asarray([max(1, length - 1), (length + 1) // 2, 1])[row % 3]
        before, behind = place >= length - counts, place < counts
        apart = np.select([row % 3 == 0, row % 3 == 1], [before, behind], place % 2 == 0)
        kept = {Pattern.PADDED_END: behind, Pattern.PADDED_START: before}.get(pattern, apart)
    return np.broadcast_to(kept.reshape(*shape[:2], *[1] * (len(shape) - 2)), shape)


def _by_row(shape: tuple[int, ...], values: Sequence[float]) -> np.ndarray:
    """`values` over and over along the first axis, to be broadcast to `shape`."""
    if not shape:
        return np.asarray(values[0])
    return np.resize(values, shape[0]).reshape(shape[0], *[1] * (len(shape) - 1))
