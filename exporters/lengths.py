"""At which lengths of the dynamic axes an artifact is tried.

A length can decide which way `forward` goes: by its parity, by multiples of 8, below and above a
window. A capture keeps one way only, so lengths of every way have to be tried.
"""

from __future__ import annotations

import random
import re
from collections.abc import Collection, Iterator, Mapping, Sequence

from exporters.spec import BATCH_AXIS, DynamicAxis, ModelSpec, resized
from exporters.ways import Way, way_at

__all__ = ["candidates", "every_length", "find_ways", "spread", "uncovered", "usual_lengths"]

_MULTIPLE = 8
"""Lengths are most often padded to multiples of it."""
_FEW = 32
"""An axis with at most this many lengths is tried at all of them."""
_EVERY = 256
"""An axis with at most this many lengths is searched completely."""
_PAIRS = 64
_MOST_WAYS = 8
_SEED = 20_260_101
_NUMBER = re.compile(r"\b\d+\b")


def usual_lengths(spec: ModelSpec) -> dict[str, int]:
    """The examples' lengths by axis, the batch among them."""
    first = next(iter(spec.example_inputs.values()))
    found = {BATCH_AXIS: first.shape[0]}
    for name, axes in spec.axes.items():
        for axis, item in axes.items():
            found[item.name] = spec.example_inputs[name].shape[axis]
    return found


def spread(spec: ModelSpec) -> list[dict[str, int]]:
    """Lengths of all axes but the batch: least, most, neighbours, middles, multiples of 8.

    All axes at their least and at their most, and then each axis through its own lengths, in
    another order than the axis before it.
    """
    axes = _axes(spec)
    if not axes:
        return []
    usual = usual_lengths(spec)
    inner = {axis.name: _between(axis, usual[axis.name]) for axis in axes}
    chosen = [{a.name: a.least for a in axes}, {a.name: a.most for a in axes}]
    chosen += [
        {
            name: lengths[(turn + place) % len(lengths)] if lengths else usual[name]
            for place, (name, lengths) in enumerate(inner.items())
        }
        for turn in range(max(map(len, inner.values())))
    ]
    return _distinct(chosen)


def every_length(spec: ModelSpec, *, closely: bool = False) -> list[dict[str, int]]:
    """The lengths that `spread` leaves out of axes with 32 lengths or fewer, several at a time.

    `closely` asks for those of every axis, of the longest as many as are looked at.
    """
    axes, usual, tried = _axes(spec), usual_lengths(spec), spread(spec)
    rng = random.Random(_SEED)  # noqa: S311 - repeatable, not secret
    left = {
        axis.name: [
            n for n in _every(axis, (), rng) if n not in {item[axis.name] for item in tried}
        ]
        for axis in axes
        if closely or len(axis.lengths) <= _FEW
    }
    return [
        {
            axis.name: left[axis.name][turn % len(left[axis.name])]
            if left.get(axis.name)
            else usual[axis.name]
            for axis in axes
        }
        for turn in range(max(map(len, left.values()), default=0))
    ]


def find_ways(spec: ModelSpec, most: int) -> list[tuple[Mapping[str, int], Way]]:
    """The ways of `forward` by lengths, each with lengths at which it is taken: at most eight.

    The first is that of the examples.
    """
    usual: Mapping[str, int] = usual_lengths(spec)
    ways = [(usual, way_at(spec, spec.example_inputs))]
    wanted = candidates(spec, most, ways[0][1].conditions)
    while len(ways) < _MOST_WAYS:
        tried = [lengths for lengths, _ in ways]
        left = uncovered([way for _, way in ways], [item for item in wanted if item not in tried])
        lengths = next(left, None)
        if lengths is None:
            break
        ways.append((lengths, way_at(spec, resized(spec, spec.example_inputs, lengths))))
    return ways


def candidates(
    spec: ModelSpec, most_rows: int, conditions: Sequence[str] = ()
) -> list[dict[str, int]]:
    """Lengths of all axes, the batch among them, to look for other ways of `forward` at.

    They are around every number that stands in `conditions`, too.
    """
    usual = {**usual_lengths(spec)}
    usual[BATCH_AXIS] = min(usual[BATCH_AXIS], most_rows)
    axes = [DynamicAxis(BATCH_AXIS, 1, most_rows), *_axes(spec)]
    rng = random.Random(_SEED)  # noqa: S311 - repeatable, not secret
    numbers = {int(text) for condition in conditions for text in _NUMBER.findall(condition)}
    every = {axis.name: _every(axis, numbers, rng) for axis in axes}
    chosen = [{**usual, **lengths} for lengths in spread(spec)]
    chosen += [{**usual, name: n} for name, lengths in every.items() for n in lengths]
    if len(axes) > 1:
        chosen += [{name: rng.choice(every[name]) for name in every} for _ in range(_PAIRS)]
    return _distinct(chosen)


def uncovered(
    ways: Sequence[Way], wanted: Sequence[Mapping[str, int]]
) -> Iterator[Mapping[str, int]]:
    """The lengths at which none of the ways is taken."""
    return (lengths for lengths in wanted if not any(way.taken_at(lengths) for way in ways))


def _axes(spec: ModelSpec) -> list[DynamicAxis]:
    found = [axis for by_axis in spec.axes.values() for axis in by_axis.values()]
    return list({axis.name: axis for axis in found}.values())


def _between(axis: DynamicAxis, usual: int) -> list[int]:
    middle = (axis.least + axis.most) // 2
    wanted = [
        usual - axis.step,
        usual + axis.step,
        middle,
        middle + axis.step,
        _MULTIPLE * round(middle / _MULTIPLE),
    ]
    snapped = [length - (length - axis.least) % axis.step for length in wanted]
    inside = [n for n in snapped if axis.least < n < axis.most and n != usual]
    return list(dict.fromkeys(inside))


def _every(axis: DynamicAxis, numbers: Collection[int], rng: random.Random) -> list[int]:
    lengths = axis.lengths
    if len(lengths) <= _EVERY:
        return list(lengths)
    around = {n + step for n in numbers for step in (-axis.step, 0, axis.step)}
    return sorted({*rng.sample(lengths, _EVERY), *(n for n in around if n in lengths)})


def _distinct(items: Sequence[dict[str, int]]) -> list[dict[str, int]]:
    return list({tuple(sorted(item.items())): item for item in items}.values())
