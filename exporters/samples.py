"""Inputs to try an artifact on: the model's own samples, or ones made from its examples."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from exporters.spec import ModelSpec, resized_inputs
from trimaran.errors import TrimaranError
from trimaran.tensors import describe_shape, shapes_agree

__all__ = ["draw_samples", "length_choices"]

_JITTER = 0.1
"""Noise added to made-up floating inputs, as a share of the example's standard deviation."""


def draw_samples(
    spec: ModelSpec, rows: int, seed: int, lengths: Mapping[str, int] | None = None
) -> dict[str, Tensor]:
    """`rows` rows for every input, the same for the same seed.

    Floating inputs are example rows with noise; integers are drawn evenly from the range that the
    examples span, so that an index stays one; booleans are drawn evenly. `lengths` sets dynamic
    axes by name; where there is a `spec.samples`, it is asked for them if it has a parameter
    `lengths`. Raises `TrimaranError` when it gives other names, dtypes or shapes than asked for.
    """
    if spec.samples is not None and (not lengths or _takes_lengths(spec.samples)):
        return _own_samples(spec, rows, seed, lengths or {})
    generator = torch.Generator().manual_seed(seed)
    examples = resized_inputs(spec, lengths or {})
    return {name: _draw(tensor, rows, generator) for name, tensor in examples.items()}


def length_choices(spec: ModelSpec) -> list[dict[str, int]]:
    """Lengths of the dynamic axes worth trying: all at their least, and all at their most."""
    axes = [axis for by_axis in spec.axes.values() for axis in by_axis.values()]
    if not axes:
        return []
    return [{a.name: a.least for a in axes}, {a.name: a.most for a in axes}]


def _takes_lengths(samples: Callable[..., object]) -> bool:
    return "lengths" in inspect.signature(samples).parameters


def _own_samples(
    spec: ModelSpec, rows: int, seed: int, lengths: Mapping[str, int]
) -> dict[str, Tensor]:
    if spec.samples is None:
        raise AssertionError("only called for a model with samples")
    chosen = {"lengths": lengths} if lengths else {}
    given = dict(spec.samples(rows, seed, **chosen))
    for name, example in spec.example_inputs.items():
        tensor = given.get(name)
        varying = {axis: lengths.get(a.name, -1) for axis, a in spec.axes.get(name, {}).items()}
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
    return {name: given[name] for name in spec.example_inputs}


def _describe(given: object) -> str:
    if isinstance(given, Tensor):
        return f"{given.dtype} {describe_shape(given.shape)}"
    return "nothing" if given is None else type(given).__name__


def _draw(example: Tensor, rows: int, generator: torch.Generator) -> Tensor:
    shape = (rows, *example.shape[1:])
    if example.dtype == torch.bool:
        return torch.randint(0, 2, shape, generator=generator).bool()
    if not example.dtype.is_floating_point:
        low, high = int(example.min()), int(example.max())
        return torch.randint(low, high + 1, shape, generator=generator).to(example.dtype)
    picked = example[torch.randint(0, example.shape[0], (rows,), generator=generator)]
    scale = _JITTER * example.double().std().nan_to_num(0.0)
    noise = torch.randn(shape, generator=generator, dtype=torch.float64) * scale
    return (picked.double() + noise).to(example.dtype)
