"""The trained module itself: run in eager PyTorch once, and what every export is held against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from exporters.batches import Answer, Batch, Tensors, find_ways, tried_batches, usable_spans
from exporters.drawing import Spans
from exporters.parity import Arrays, compare, row_limits, typical_scale
from exporters.quiet import quiet
from exporters.spec import Interface, ModelSpec, interface_of, require_served
from trimaran.errors import ParityError, TrimaranError

__all__ = ["Original", "run_original"]


@dataclass(frozen=True)
class Original:
    """A model, its interface, and what eager PyTorch answers to each of `batches`.

    `labels` says of each batch what it is. `scales` has the size of a typical row of each output.
    `spans` are the values that integer inputs may take. `with_nan` is a batch with NaN in every
    floating input, and PyTorch's answer, where there are such inputs and it gives one.
    """

    spec: ModelSpec
    max_batch_size: int
    interface: Interface
    batches: tuple[Arrays, ...]
    expected: tuple[Arrays, ...]
    labels: tuple[str, ...]
    scales: Mapping[str, float]
    spans: Spans
    with_nan: tuple[Arrays, Arrays] | None = None


def run_original(spec: ModelSpec, max_batch_size: int) -> Original:
    """Run the module on its examples, on other rows, and at every length worth trying.

    Raises `TrimaranError` where the module fails on its own inputs, or where nothing could be made
    up that shows what it computes, and `ParityError` where it answers the same rows differently
    when asked again, or where its rows depend on one another, so that no export of it could be
    served in batches.
    """
    answer = partial(_answer, spec, spec.positional())
    spans = usable_spans(spec, answer)
    ways = find_ways(spec, max_batch_size)
    batches = list(tried_batches(spec, max_batch_size, spans, ways, answer))
    interface = interface_of(spec, [b.answers for b in batches], ways[0][1].open_axes)
    expected = tuple(_arrays(batch.answers) for batch in batches)
    original = Original(
        spec=spec,
        max_batch_size=max_batch_size,
        interface=interface,
        batches=tuple(_arrays(batch.inputs) for batch in batches),
        expected=expected,
        labels=tuple(batch.label for batch in batches),
        scales={o.name: typical_scale([e[o.name] for e in expected]) for o in interface.outputs},
        spans=spans,
        with_nan=_with_nan(batches, answer),
    )
    _require_steady(original, answer)
    _require_independent(original, batches)
    return original


def _answer(spec: ModelSpec, module: torch.nn.Module, inputs: Tensors) -> Tensors:
    """Plain tensors by output name; the module may write into what it gets."""
    rows = next(iter(inputs.values())).shape[0]
    with quiet():
        try:
            outputs = module(*(inputs[name].clone() for name in spec.example_inputs))
        except TrimaranError as error:
            raise TrimaranError(f"model {spec.name}: {error}") from None
    for name, tensor in zip(spec.output_names, outputs, strict=True):
        require_served(spec, name, tensor, rows)
    return {
        name: tensor.detach().as_subclass(Tensor).resolve_conj().resolve_neg()
        for name, tensor in zip(spec.output_names, outputs, strict=True)
    }


def _arrays(tensors: Tensors) -> dict[str, np.ndarray]:
    return {name: tensor.numpy() for name, tensor in tensors.items()}


def _with_nan(batches: Sequence[Batch], answer: Answer) -> tuple[Arrays, Arrays] | None:
    """A batch in which the first number of every row is NaN, and the answer."""
    batch = max(batches, key=lambda item: bool(item.source) and len(item.rows) in (2, 3))
    inputs = {name: tensor.clone() for name, tensor in batch.inputs.items()}
    floating = [t for t in inputs.values() if t.dtype.is_floating_point and t.numel()]
    for tensor in floating:
        tensor.reshape(len(tensor), -1)[:, 0] = torch.nan
    try:
        return (_arrays(inputs), _arrays(answer(inputs))) if floating else None
    except Exception:
        return None  # A module may refuse NaN; then so may what is exported.


def _require_steady(original: Original, answer: Answer) -> None:
    """Refuse a module that answers a batch otherwise when asked again."""
    place = max(range(len(original.batches)), key=lambda index: _count(original.batches[index]))
    batch, before = original.batches[place], original.expected[place]
    again = _arrays(answer({name: torch.from_numpy(array) for name, array in batch.items()}))
    for output in original.interface.outputs:
        limits = _limits(original, output.name, before[output.name])
        if not compare(before[output.name], again[output.name], *limits).passed:
            raise ParityError(
                f"model {original.spec.name} gives other answers when asked again, in output "
                f"{output.name!r}; take what is random or remembered out of forward"
            )


def _require_independent(original: Original, batches: Sequence[Batch]) -> None:
    """Refuse a module of whose rows one answers otherwise among other rows.

    Where rows are nearly constant, decisions may be a tie that rounding breaks either way, so
    these show nothing of outputs that are not floating.
    """
    seen: dict[str, tuple[int, Tensors]] = {}
    even = {row for batch in batches for row in batch.even}
    for batch in batches:
        for place, row in enumerate(batch.rows):
            own = {name: tensor[place : place + 1] for name, tensor in batch.answers.items()}
            size, before = seen.setdefault(row, (len(batch.rows), own))
            if before is own:
                continue
            for output in original.interface.outputs:
                if not output.dtype.is_floating and row in even:
                    continue
                one, other = before[output.name].numpy(), own[output.name].numpy()
                rtol, atol = _limits(original, output.name, one)
                found = compare(one, other, rtol, atol)
                if not found.passed:
                    raise ParityError(
                        f"model {original.spec.name} cannot be served in batches: output "
                        f"{output.name!r}: row {place} depends on the rows beside it: in a batch "
                        f"of {size} and in one of {len(batch.rows)} its values are up to "
                        f"{found.largest_error:.3g} apart (allowed: {float(np.max(atol)):.3g} + "
                        f"{rtol:g}·|x|), so requests may not be batched together; take what mixes "
                        "rows out of forward, or take --max-batch-size 1"
                    )


def _limits(original: Original, output: str, expected: np.ndarray) -> tuple[float, np.ndarray]:
    spec = next(item for item in original.interface.outputs if item.name == output)
    return row_limits(
        spec.dtype, expected, original.scales[output], original.spec.tolerances.get(output)
    )


def _count(batch: Arrays) -> int:
    return len(next(iter(batch.values())))
