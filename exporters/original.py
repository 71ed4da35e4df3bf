"""The trained module, run once in eager PyTorch: every export is compared with its answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from exporters.batches import Batch, example_batches, tried_batches
from exporters.drawing import Spans
from exporters.formats.causes import nested_tensors, rounded
from exporters.lengths import find_ways
from exporters.parity import Arrays, ParityReport, Run, compare, measure_parity, row_count
from exporters.samples import Answer, Tensors, usable_spans
from exporters.spec import (
    Interface,
    ModelSpec,
    interface_of,
    on_its_device,
    require_served,
)
from exporters.tolerance import column_shares, row_limits, typical_scale
from exporters.torch_state import quiet
from trimaran.system.errors import ParityError, TrimaranError

__all__ = ["Original", "parity_with", "run_original"]


_ASKED_AGAIN = 6
_NAN_AT = (0.5, 0.0, 1.0, 0.25)
"""Where in a row NaN is put: a maximum may find it or not depending on what comes before."""


@dataclass(frozen=True)
class Original:
    """A model, its interface, and what eager PyTorch answers to each of `batches`.

    `labels` describes each batch, and `ties` for which of its rows a decision may be a
    tie. `scales` has the size of a typical row of each output, and `shares` how large it is at each
    place (`parity.column_shares`). `spans` are the values that integer inputs may take. `with_nan`
    is a batch with NaN in every floating input, and PyTorch's answer, where there are such inputs
    and it gives one. `notes` name outputs that nothing was shown of.
    """

    spec: ModelSpec
    max_batch_size: int
    interface: Interface
    batches: tuple[Arrays, ...]
    expected: tuple[Arrays, ...]
    labels: tuple[str, ...]
    ties: tuple[frozenset[int], ...]
    scales: Mapping[str, float]
    shares: Mapping[str, Mapping[int, np.ndarray]]
    spans: Spans
    with_nan: tuple[Arrays, Arrays] | None = None
    notes: tuple[str, ...] = ()


def run_original(spec: ModelSpec, max_batch_size: int) -> Original:
    """Run the module on its examples, on other rows, and at every length worth trying.

    Raises `TrimaranError` where the module fails on its own inputs, or where nothing could be made
    up that shows what it computes, and `ParityError` where it answers the same rows differently
    when asked again, or where its rows depend on one another, so that no export of it could be
    served in batches.
    """
    answer = partial(_answer, spec, spec.positional())
    # The examples first: only the first call meets a module before its forward has changed it.
    with on_its_device(spec):
        batches = list(example_batches(spec, max_batch_size, answer))
        spans = usable_spans(spec, answer)
    ways = find_ways(spec, max_batch_size)
    with on_its_device(spec):
        batches += tried_batches(spec, max_batch_size, batches, spans, ways, answer)
        with_nan = _with_nan(batches, answer)
    interface = interface_of(spec, [b.answers for b in batches], ways[0][1].open_axes)
    expected = tuple(_arrays(batch.answers) for batch in batches)
    original = Original(
        spec=spec,
        max_batch_size=max_batch_size,
        interface=interface,
        batches=tuple(_arrays(batch.inputs) for batch in batches),
        expected=expected,
        labels=tuple(batch.label for batch in batches),
        ties=tuple(batch.even for batch in batches),
        scales=_scales(interface, batches, expected),
        shares=_shares(interface, batches, expected),
        spans=spans,
        with_nan=with_nan,
        notes=tuple(_unshown(spec, interface, expected)),
    )
    with on_its_device(spec):
        _require_steady(original, answer)
        _require_independent(original, batches)
        _require_independent_of_nan(original, answer)
    return original


def parity_with(original: Original, run: Run) -> ParityReport:
    """Compare an artifact, as `run` answers, with the original."""
    return measure_parity(
        original.interface.outputs,
        original.spec.tolerances,
        original.batches,
        original.expected,
        run,
        labels=original.labels,
        ties=original.ties,
        scales=original.scales,
        shares=original.shares,
        with_nan=original.with_nan,
    )


def _shares(
    interface: Interface, batches: Sequence[Batch], expected: Sequence[Arrays]
) -> dict[str, dict[int, np.ndarray]]:
    """`column_shares` of each output along its fixed axes, in the examples."""
    examples = [e for b, e in zip(batches, expected, strict=True) if b.example]
    return {
        output.name: {
            axis: share
            for axis, share in column_shares([e[output.name] for e in examples]).items()
            if output.dims[axis - 1] != -1
        }
        for output in interface.outputs
    }


def _unshown(spec: ModelSpec, interface: Interface, expected: Sequence[Arrays]) -> Iterator[str]:
    """A note for each output that is one number for every row that was tried.

    Raises `TrimaranError` where there are no others.
    """
    silent = [o.name for o in interface.outputs if _is_one_number([e[o.name] for e in expected])]
    problem = (
        "answers one number to every row that was tried, which shows nothing; give `samples` in "
        "its ModelSpec: samples(batch_size, seed) returns real inputs"
    )
    if len(silent) == len(interface.outputs):
        raise TrimaranError(f"model {spec.name} {problem}")
    for name in silent:
        yield f"output {name!r} {problem}"


def _is_one_number(answers: Sequence[np.ndarray]) -> bool:
    first = next((answer.reshape(-1)[0] for answer in answers if answer.size), None)
    return first is not None and all(bool((answer == first).all()) for answer in answers)


def _scales(
    interface: Interface, batches: Sequence[Batch], expected: Sequence[Arrays]
) -> dict[str, float]:
    """The scale of a typical row of each output: of the model's own rows, if these have one."""
    found = {}
    for output in interface.outputs:
        own = [e[output.name] for b, e in zip(batches, expected, strict=True) if b.own]
        every = [e[output.name] for e in expected]
        found[output.name] = typical_scale(own) or typical_scale(every)
    return found


def _answer(spec: ModelSpec, module: torch.nn.Module, inputs: Tensors) -> Tensors:
    """Plain tensors by output name; the module may write into what it gets."""
    rows = next(iter(inputs.values())).shape[0]
    with quiet():
        try:
            given = (inputs[name].to(spec.device, copy=True) for name in spec.example_inputs)
            outputs = module(*given)
        except TrimaranError as error:
            raise TrimaranError(f"model {spec.name}: {error}") from None
        except SystemExit as error:
            raise RuntimeError(f"forward ends the process with status {error.code}") from error
    for name, tensor in zip(spec.output_names, outputs, strict=True):
        require_served(spec, name, tensor, rows)
    return {
        name: tensor.detach().cpu().as_subclass(Tensor).resolve_conj().resolve_neg()
        for name, tensor in zip(spec.output_names, outputs, strict=True)
    }


def _arrays(tensors: Tensors) -> dict[str, np.ndarray]:
    return {name: tensor.numpy() for name, tensor in tensors.items()}


def _with_nan(batches: Sequence[Batch], answer: Answer) -> tuple[Arrays, Arrays] | None:
    """A batch in which a number of every row is NaN, each time another one, and the answer."""
    batch = max((b for b in batches if b.source), key=lambda item: len(item.rows))
    inputs = {name: tensor.clone().contiguous() for name, tensor in batch.inputs.items()}
    floating = [t for t in inputs.values() if t.dtype.is_floating_point and t.numel()]
    for tensor in floating:
        rows = tensor.view(len(tensor), -1)
        for place, share in zip(range(len(rows)), _NAN_AT, strict=False):
            rows[place, int(share * (rows.shape[1] - 1))] = torch.nan
    try:
        return (_arrays(inputs), _arrays(answer(inputs))) if floating else None
    except Exception:
        return None  # A module may refuse NaN; then its exports may, too.


def _require_steady(original: Original, answer: Answer) -> None:
    """Refuse a module that answers its largest batches otherwise when asked again."""
    most = max(map(row_count, original.batches))
    asked = zip(original.batches, original.expected, strict=True)
    largest = [pair for pair in asked if row_count(pair[0]) == most]
    for batch, before in largest[:: -(-len(largest) // _ASKED_AGAIN)]:
        again = _arrays(answer({name: torch.from_numpy(array) for name, array in batch.items()}))
        for output in original.interface.outputs:
            limits = _limits(original, output.name, before[output.name])
            if not compare(before[output.name], again[output.name], *limits).passed:
                raise ParityError(
                    f"model {original.spec.name} gives different answers when run again, in output "
                    f"{output.name!r}; remove randomness and state from forward"
                )


def _require_independent(original: Original, batches: Sequence[Batch]) -> None:
    """Refuse a module in which the answer to a row depends on the other rows.

    Where a decision may be a tie, rows show nothing of outputs that are not floating.
    """
    seen: dict[str, tuple[int, Tensors]] = {}
    for batch in batches:
        for place, row in enumerate(batch.rows):
            own = {name: tensor[place : place + 1] for name, tensor in batch.answers.items()}
            size, before = seen.setdefault(row, (len(batch.rows), own))
            if before is own:
                continue
            for output in original.interface.outputs:
                if not output.dtype.is_floating and place in batch.even:
                    continue
                one, other = before[output.name].numpy(), own[output.name].numpy()
                rtol, atol = _limits(original, output.name, one)
                found = compare(one, other, rtol, atol)
                if not found.passed:
                    apart = (
                        f"its values are up to {found.largest_error:.3g} apart (allowed: "
                        f"{float(np.max(atol)):.3g} + {rtol:g}·|x|)"
                        if one.shape == other.shape
                        else f"it has the shapes {list(one.shape)} and {list(other.shape)}"
                    )
                    raise ParityError(
                        f"model {original.spec.name} cannot be served in batches: output "
                        f"{output.name!r}: row {place} depends on the rows next to it: in a batch "
                        f"of {size} and in one of {len(batch.rows)} {apart}, so requests may "
                        "not be batched together"
                        + (
                            nested_tensors(original.spec.module)
                            or "; do not mix rows in forward, or use --max-batch-size 1"
                        )
                        + rounded(output, found.largest_error)
                    )


def _require_independent_of_nan(original: Original, answer: Answer) -> None:
    """Refuse a module in which NaN in one row changes the answer to another."""
    if original.with_nan is None or original.max_batch_size == 1:
        return
    inputs, together = original.with_nan
    for place in range(min(row_count(inputs), len(_NAN_AT) + 1)):
        alone = {name: torch.from_numpy(array[place : place + 1]) for name, array in inputs.items()}
        try:
            own = _arrays(answer(alone))
        except Exception:
            return  # It refuses NaN in some rows, and then no client's NaN gets this far.
        for output in (o for o in original.interface.outputs if o.dtype.is_floating):
            one, other = own[output.name], together[output.name][place : place + 1]
            if not compare(one, other, *_limits(original, output.name, one)).passed:
                raise ParityError(
                    f"model {original.spec.name} cannot be served in batches: output "
                    f"{output.name!r}: NaN in one row changes the answer to another; do not mix "
                    "rows in forward, or use --max-batch-size 1"
                )


def _limits(original: Original, output: str, expected: np.ndarray) -> tuple[float, np.ndarray]:
    spec = next(item for item in original.interface.outputs if item.name == output)
    return row_limits(
        spec.dtype,
        expected,
        original.scales[output],
        original.spec.tolerances.get(output),
        original.shares[output],
    )
