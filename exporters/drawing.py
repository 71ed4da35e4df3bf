"""Rows made up from a model's examples, in several ways, each of which reveals other faults.

Noise around the examples reveals a wrong weight. Rows of other sizes and signs reveal a branch on
values, and rows that influence one another. Nearly constant rows reveal the epsilon of a norm.
Masks are set from one end, as padding is; random masks alone would never show how a padded row
answers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

__all__ = [
    "FAMILIES",
    "Family",
    "Spans",
    "differ",
    "draw_rows",
    "has",
    "is_flag",
    "is_mask",
    "span_of",
    "wider_spans",
]

Spans = Mapping[str, tuple[int, int]]
"""The least and the largest value of each integer input that may be drawn."""


@dataclass(frozen=True)
class Family:
    """One way of making rows up: which values each type of input gets, and what it is called.

    `needs` says what there must be among the inputs for it to show anything: `masks`, `flags`
    (numbers of zeros and ones, which are drawn as masks then) or `ids` (integers above zero).
    """

    name: str
    floats: str
    integers: str
    masks: str
    needs: str = ""


FAMILIES = (
    Family("the examples with noise", "noisy", "even", "end"),
    Family("values mixed from the examples", "mixed", "mixed", "random"),
    Family("the examples larger and smaller", "scaled", "even", "start"),
    Family("values of other sizes and signs", "sized", "bounds", "one"),
    Family("nearly constant rows", "flat", "repeated", "end"),
    Family("the examples in another order", "shuffled", "shuffled", "random"),
    Family("masks that are set everywhere", "noisy", "even", "all", needs="masks"),
    Family("masks that are set nowhere", "noisy", "even", "none", needs="masks"),
    Family("zeros from a place on", "noisy", "even", "start", needs="flags"),
    Family("zeros up to a place", "noisy", "mixed", "end", needs="flags"),
    Family("ids that end in zeros", "mixed", "padded", "start", needs="ids"),
)

_NOISE = 0.3
_SIZES = (1.0, 0.01, 10.0, 3.0)
"""What rows are multiplied by, in turn: a row of small numbers is next to one of large ones."""
_FLATNESS = 1e-2
"""Below it, rounding would show as much as a wrong epsilon."""
_KINDS = 3
"""A constant may be a kind, of which there are few."""
_LARGEST_INTEGER = 2**63 - 1
_LARGEST = (30_000, 1_000, 100, 20, 7, 2, 1)
"""How far a constant integer is drawn from its value, the farthest first."""


def draw_rows(
    examples: Mapping[str, Tensor], family: Family, rows: int, seed: int, spans: Spans
) -> dict[str, Tensor]:
    """`rows` rows for every input, `[rows, ...]`, the same for the same seed.

    `spans` says which integers may be drawn; an integer input of zeros and ones alone is drawn as
    a mask.
    """
    generator = Generator().manual_seed(seed)
    drawn = {}
    for name, example in examples.items():
        if is_mask(example, spans.get(name)) or (family.needs == "flags" and is_flag(example)):
            values = _MASKS[family.masks](example, rows, generator)
        elif example.dtype.is_floating_point:
            values = _FLOATS[family.floats](example.double(), rows, generator)
            limit = torch.finfo(example.dtype).max
            values = torch.where(values.isfinite(), values.clamp(-limit, limit), values)
        else:
            values = _INTEGERS[family.integers](example, rows, generator, spans[name])
        drawn[name] = values.to(example.dtype)
    return drawn


def has(examples: Mapping[str, Tensor], spans: Spans, what: str) -> bool:
    """Whether there is what a family needs among the inputs."""
    if what == "masks":
        return any(is_mask(t, spans.get(n)) or is_flag(t) for n, t in examples.items())
    if what == "flags":
        return any(is_flag(t) and not is_mask(t, spans.get(n)) for n, t in examples.items())
    if what == "ids":
        return any(t.ndim > 1 and spans[n][0] >= 0 for n, t in examples.items() if n in spans)
    return True


def is_flag(example: Tensor) -> bool:
    """Whether an example that is not boolean holds only zeros and ones along a second axis."""
    return (
        example.dtype != torch.bool
        and example.ndim > 1
        and bool(((example == 0) | (example == 1)).all())
    )


def is_mask(example: Tensor, span: tuple[int, int] | None) -> bool:
    """Whether an input says yes or no: booleans, and integers of zeros and ones."""
    return example.dtype == torch.bool or (span is not None and span[0] >= 0 and span[1] <= 1)


def span_of(example: Tensor) -> tuple[int, int] | None:
    """The values that an integer example spans; `None` for other types."""
    if example.dtype.is_floating_point or example.dtype == torch.bool or not example.numel():
        return None
    return int(example.min()), int(example.max())


def wider_spans(example: Tensor) -> Iterator[tuple[int, int]]:
    """Wider ranges that an integer input may take, the widest first.

    A constant does not show the allowed range, and bytes are pixels or text more often than an
    index, so wider ranges are tried for them. For other examples there are none.
    """
    value, limits = int(example.min()), torch.iinfo(example.dtype)
    is_flag = value >= 0 and int(example.max()) <= 1
    constant = value == int(example.max())
    if limits.max <= 255 and (constant or not is_flag):
        yield limits.min if value < 0 else 0, limits.max
    for reach in _LARGEST if constant else ():
        low, high = (value - reach, 0) if value < 0 else (0, value + reach)
        yield max(low, limits.min), min(high, limits.max)


def differ(rows: Mapping[str, Tensor]) -> bool:
    """Whether any row differs from the first."""
    return any(not torch.equal(tensor, tensor[:1].expand_as(tensor)) for tensor in rows.values())


def _size(values: Tensor) -> Tensor:
    """The root mean square over rows at each place, `[1, ...]`; that of all where it is zero."""
    numbers = values.nan_to_num(0.0, 0.0, 0.0)
    everywhere = numbers.square().mean().sqrt()
    at_each = numbers.square().mean(0, keepdim=True).sqrt()
    return torch.where(at_each > 0, at_each, everywhere if everywhere > 0 else torch.ones(()))


def _picked(example: Tensor, rows: int, generator: Generator) -> Tensor:
    return example[torch.randint(0, example.shape[0], (rows,), generator=generator)]


def _normal(example: Tensor, rows: int, generator: Generator) -> Tensor:
    return torch.randn((rows, *example.shape[1:]), generator=generator, dtype=torch.float64)


def _per_row(values: list[float], example: Tensor) -> Tensor:
    return torch.tensor(values, dtype=torch.float64).reshape(-1, *[1] * (example.ndim - 1))


def _sizes(rows: int, example: Tensor) -> Tensor:
    return _per_row([_SIZES[row % len(_SIZES)] for row in range(rows)], example)


def _noisy(example: Tensor, rows: int, generator: Generator) -> Tensor:
    noise = _normal(example, rows, generator) * _NOISE * _size(example)
    return _picked(example, rows, generator) + noise


def _mixed(example: Tensor, rows: int, generator: Generator) -> Tensor:
    """Between two examples, at each place by another share: in the range that they span."""
    one, other = (_picked(example, rows, generator) for _ in range(2))
    share = torch.rand(one.shape, generator=generator, dtype=torch.float64)
    between = one + share * (other - one)
    return torch.where(between.isfinite(), between, one)


def _scaled(example: Tensor, rows: int, generator: Generator) -> Tensor:
    noise = 1 + 0.1 * _normal(example, rows, generator).clamp(-5, 5)
    return _picked(example, rows, generator) * noise * _sizes(rows, example)


def _sized(example: Tensor, rows: int, generator: Generator) -> Tensor:
    return _normal(example, rows, generator) * _size(example) * _sizes(rows, example)


def _flat(example: Tensor, rows: int, generator: Generator) -> Tensor:
    level = torch.randn(rows, generator=generator, dtype=torch.float64).tolist()
    size = _size(example).mean()
    noise = 1 + _FLATNESS * _normal(example, rows, generator)
    return _per_row(level, example) * size * noise


def _shuffled(example: Tensor, rows: int, generator: Generator) -> Tensor:
    picked = _picked(example, rows, generator)
    if picked[0].numel() < 2:
        return picked
    flat = picked.reshape(rows, -1)
    order = torch.rand(flat.shape, generator=generator).argsort(1)
    return flat.gather(1, order).reshape(picked.shape)


def _between(shape: tuple[int, ...], span: tuple[int, int], generator: Generator) -> Tensor:
    return torch.randint(span[0], min(span[1] + 1, _LARGEST_INTEGER), shape, generator=generator)


def _even(example: Tensor, rows: int, generator: Generator, span: tuple[int, int]) -> Tensor:
    """Uniform; for a constant example half of the rows log-uniform.

    A constant may be a kind or a length, and then small values matter most.
    """
    shape = (rows, *example.shape[1:])
    values = _between(shape, span, generator)
    if _is_constant(example) and span[0] == 0:
        small = torch.exp2(torch.rand(shape, generator=generator) * math.log2(span[1] + 1)) - 1
        values[1::2] = small[1::2].long()
    return values


def _is_constant(example: Tensor) -> bool:
    return bool((example == example.reshape(-1)[0]).all())


def _padded(example: Tensor, rows: int, generator: Generator, span: tuple[int, int]) -> Tensor:
    """Values that end in zeros from another place on in each row."""
    values = _mixed_integers(example, rows, generator, span)
    if example.ndim < 2 or example.shape[-1] < 2 or span[0] < 0:
        return values
    return values * _from_an_end(example, rows, generator, last=False)


def _bounds(example: Tensor, rows: int, generator: Generator, span: tuple[int, int]) -> Tensor:
    """One bound or the other; for a constant example, anything from zero up to it."""
    shape = (rows, *example.shape[1:])
    if _is_constant(example) and (value := int(example.reshape(-1)[0])) > 1:
        return _between(shape, (0, value), generator)
    return torch.where(torch.rand(shape, generator=generator) < 0.5, span[1], span[0])


def _repeated(example: Tensor, rows: int, generator: Generator, span: tuple[int, int]) -> Tensor:
    first = example[:, *[slice(1)] * (example.ndim - 1)]
    return _even(first, rows, generator, span).expand(rows, *example.shape[1:])


def _mixed_integers(
    example: Tensor, rows: int, generator: Generator, span: tuple[int, int]
) -> Tensor:
    if _is_constant(example) and span[0] == 0:
        return _between((rows, *example.shape[1:]), (0, min(_KINDS, span[1])), generator)
    if not differ({"": example}):
        return _even(example, rows, generator, span)
    one, other = (_picked(example, rows, generator) for _ in range(2))
    return torch.where(torch.rand(one.shape, generator=generator) < 0.5, one, other)


def _shuffled_integers(
    example: Tensor, rows: int, generator: Generator, span: tuple[int, int]
) -> Tensor:
    if int(example.min()) == int(example.max()):
        return _even(example, rows, generator, span)
    return _shuffled(example, rows, generator)


def _from_an_end(example: Tensor, rows: int, generator: Generator, *, last: bool) -> Tensor:
    """Masks set from one end on, to another place in each row, and never everywhere."""
    if example.ndim < 2 or example.shape[-1] < 2:
        return _random(example, rows, generator)
    length = example.shape[-1]
    counts = torch.randint(1, length, (rows, *example.shape[1:-1], 1), generator=generator)
    places = torch.arange(length)
    return (places >= length - counts) if last else (places < counts)


def _random(example: Tensor, rows: int, generator: Generator) -> Tensor:
    """Set at random, and somewhere and not everywhere along a last axis of two or more."""
    shape = (rows, *example.shape[1:])
    mask = torch.rand(shape, generator=generator) < 0.5
    if example.ndim < 2 or example.shape[-1] < 2:
        return mask
    first, second = _two_places(shape, generator)
    return mask.scatter(-1, first, True).scatter(-1, second, False)


def _one(example: Tensor, rows: int, generator: Generator) -> Tensor:
    shape = (rows, *example.shape[1:])
    if example.ndim < 2 or example.shape[-1] < 2:
        return _random(example, rows, generator)
    first, _ = _two_places(shape, generator)
    return torch.zeros(shape, dtype=torch.bool).scatter(-1, first, True)


def _two_places(shape: tuple[int, ...], generator: Generator) -> tuple[Tensor, Tensor]:
    """Two places along the last axis that differ, `[..., 1]` each."""
    first = torch.randint(0, shape[-1], (*shape[:-1], 1), generator=generator)
    step = torch.randint(1, shape[-1], (*shape[:-1], 1), generator=generator)
    return first, (first + step) % shape[-1]


def _all_of(value: bool) -> Callable[[Tensor, int, Generator], Tensor]:
    return lambda example, rows, generator: torch.full((rows, *example.shape[1:]), value)


_FLOATS = {
    "noisy": _noisy,
    "mixed": _mixed,
    "scaled": _scaled,
    "sized": _sized,
    "flat": _flat,
    "shuffled": _shuffled,
}

_INTEGERS = {
    "even": _even,
    "bounds": _bounds,
    "repeated": _repeated,
    "padded": _padded,
    "mixed": _mixed_integers,
    "shuffled": _shuffled_integers,
}

_MASKS: dict[str, Callable[[Tensor, int, Generator], Tensor]] = {
    "end": lambda example, rows, g: _from_an_end(example, rows, g, last=True),
    "start": lambda example, rows, g: _from_an_end(example, rows, g, last=False),
    "random": _random,
    "one": _one,
    "all": _all_of(True),
    "none": _all_of(False),
}
