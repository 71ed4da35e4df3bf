"""Where rows come from: the model's own samples, or rows made up from its examples."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from exporters.drawing import FAMILIES, Family, Spans, draw_rows, has, is_mask, span_of, wider_spans
from exporters.spec import BATCH_AXIS, ModelSpec, resized, resized_inputs
from exporters.tolerance import LEAST_FINITE, finite_share
from trimaran.repository.dtypes import describe_shape, shapes_agree
from trimaran.system.errors import TrimaranError

__all__ = [
    "Answer",
    "Source",
    "Tensors",
    "draw_samples",
    "not_finite",
    "own_samples",
    "sources_of",
    "usable_spans",
]

_SEED = 20_240_229
_REPEATING = {"repeated", "bounds", "mixed", "padded"}
"""The ways of drawing integers in which one is often repeated within a row."""
_JITTER = 0.1
"""Noise added to made-up floating inputs, as a share of the example's standard deviation."""
_CONSTANT = 1e-2
"""An example whose deviation is a smaller share of its size does not show how values vary."""

Tensors = Mapping[str, Tensor]
Answer = Callable[[Tensors], Tensors]


@dataclass(frozen=True)
class Source:
    """Where rows come from: `draw(rows, seed, lengths)`.

    `own` are the model's own samples. `even` rows repeat an integer so often that a decision, such
    as which place has the largest score, may be a tie, which rounding breaks either way.
    """

    name: str
    draw: Callable[[int, int, Mapping[str, int]], Tensors]
    own: bool = False
    even: bool = False


def sources_of(spec: ModelSpec, spans: Spans) -> list[Source]:
    """The model's own samples, or every family of made-up rows that fits its inputs."""
    if spec.samples is not None:
        return [Source("the model's samples", partial(own_samples, spec), own=True)]
    has_integers = any(name in spans for name in spec.example_inputs)
    may_tie = has_integers and any(p.is_floating_point() for p in spec.module.parameters())
    return [
        Source(
            family.name,
            partial(_drawn, spec, family, spans),
            even=may_tie and family.integers in _REPEATING,
        )
        for family in FAMILIES
        if has(spec.example_inputs, spans, family.needs)
    ]


def draw_samples(
    spec: ModelSpec,
    rows: int,
    seed: int,
    lengths: Mapping[str, int] | None = None,
    spans: Mapping[str, tuple[int, int]] | None = None,
) -> dict[str, Tensor]:
    """`rows` rows for every input, the same for the same seed.

    They are `spec.samples` where there are any. Otherwise floating inputs are example rows with
    noise; integers are drawn evenly from the range that the examples span, or from `spans`, so that
    an index stays one; booleans are drawn evenly. `lengths` sets dynamic axes by name. Raises
    `TrimaranError` where samples have other names, dtypes or shapes than asked for.
    """
    if spec.samples is not None:
        return own_samples(spec, rows, seed, lengths)
    generator = torch.Generator().manual_seed(seed)
    examples = resized_inputs(spec, lengths or {})
    return {
        name: _draw(tensor, rows, generator, (spans or {}).get(name))
        for name, tensor in examples.items()
    }


def own_samples(
    spec: ModelSpec, rows: int, seed: int, lengths: Mapping[str, int] | None = None
) -> dict[str, Tensor]:
    """What `spec.samples` gives, checked.

    It is asked for `lengths` where it has a parameter of that name; otherwise its rows are cut or
    repeated to them.
    """
    if spec.samples is None:
        raise AssertionError("only called for a model with samples")
    asked = bool(lengths) and _takes_lengths(spec.samples)
    chosen = {"lengths": lengths} if asked else {}
    given = dict(spec.samples(rows, seed, **chosen))
    for name, example in spec.example_inputs.items():
        tensor = given.get(name)
        wanted = lengths if asked and lengths else {}
        varying = {axis: wanted.get(a.name, -1) for axis, a in spec.axes.get(name, {}).items()}
        dims = [varying.get(axis, example.shape[axis]) for axis in range(1, example.ndim)]
        if (
            not isinstance(tensor, Tensor)
            or tensor.dtype != example.dtype
            or not shapes_agree(tensor.shape, [rows, *dims])
        ):
            raise TrimaranError(
                f"model {spec.name}: samples({rows}, {seed}) gave {_describe(tensor)} for input "
                f"{name!r}; it needs {example.dtype} {describe_shape([rows, *dims])}"
            )
    tensors = {name: given[name].detach() for name in spec.example_inputs}
    return tensors if asked or not lengths else resized(spec, tensors, lengths)


def usable_spans(spec: ModelSpec, answer: Answer) -> dict[str, tuple[int, int]]:
    """Which values each integer input may take: those that the examples span.

    Of a constant one, and of bytes, the widest range that the module answers with numbers.
    """
    found = {}
    for name, example in spec.example_inputs.items():
        span = span_of(example)
        if span is not None:
            wider = wider_spans(example) if spec.samples is None else ()
            found[name] = next((w for w in wider if _takes(spec, name, w, answer)), span)
    return found


def not_finite(answers: Tensors) -> str | None:
    """The first output that is mostly NaN or infinite."""
    return next(
        (n for n, tensor in answers.items() if finite_share(tensor.numpy()) < LEAST_FINITE), None
    )


def _drawn(
    spec: ModelSpec,
    family: Family,
    spans: Spans,
    rows: int,
    seed: int,
    lengths: Mapping[str, int],
) -> Tensors:
    examples = resized_inputs(spec, lengths)
    drawn = draw_rows(examples, family, rows, seed, spans)
    for name, example in resized(spec, examples, {BATCH_AXIS: rows}).items():
        # A mask cut to one place would hide all of a row.
        if lengths and is_mask(example, spans.get(name)) and example.shape[-1] == 1:
            drawn[name] = example
    return drawn


def _takes(spec: ModelSpec, name: str, span: tuple[int, int], answer: Answer) -> bool:
    example = spec.example_inputs[name][:2]
    generator = torch.Generator().manual_seed(_SEED)
    drawn = torch.randint(span[0], span[1] + 1, example.shape, generator=generator)
    drawn.reshape(-1)[0] = span[1]
    inputs = {n: t[:1] for n, t in spec.example_inputs.items()}
    for row in range(2):
        inputs[name] = drawn[row : row + 1].to(example.dtype)
        try:
            if not_finite(answer(inputs)):
                return False
        except Exception:
            return False
    return True


def _takes_lengths(samples: Callable[..., object]) -> bool:
    return "lengths" in inspect.signature(samples).parameters


def _describe(given: object) -> str:
    if isinstance(given, Tensor):
        return f"{given.dtype} {describe_shape(given.shape)}"
    return "nothing" if given is None else type(given).__name__


def _draw(
    example: Tensor, rows: int, generator: torch.Generator, span: tuple[int, int] | None
) -> Tensor:
    shape = (rows, *example.shape[1:])
    if example.dtype == torch.bool:
        return torch.randint(0, 2, shape, generator=generator).bool()
    if not example.dtype.is_floating_point:
        low, high = span or span_of(example) or (0, 0)
        return torch.randint(low, min(high + 1, 2**63 - 1), shape, generator=generator).to(
            example.dtype
        )
    picked = example[torch.randint(0, example.shape[0], (rows,), generator=generator)]
    noise = torch.randn(shape, generator=generator, dtype=torch.float64) * _noise(example.double())
    return (picked.double() + noise).to(example.dtype)


def _noise(example: Tensor) -> float:
    numbers = example[example.isfinite()]
    if not numbers.numel():
        return 1.0
    size, deviation = float(numbers.square().mean().sqrt()), float(numbers.std(correction=0))
    if deviation < _CONSTANT * size or size == 0:
        return size or 1.0
    return _JITTER * float(numbers.std()) if numbers.numel() > 1 else size
