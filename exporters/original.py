"""The trained module itself: run in eager PyTorch once, and what every export is held against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from exporters.formats.exporter import one_sentence, quiet
from exporters.parity import Arrays, batch_sizes, compare, compare_rows, scale_of, tolerance_for
from exporters.samples import draw_samples, length_choices
from exporters.spec import Interface, ModelSpec, interface_of
from trimaran.errors import ParityError, TrimaranError

__all__ = ["Original", "run_original"]

_SEED = 20_240_229
_LENGTH_ROWS = 3


@dataclass(frozen=True)
class Original:
    """A model, its interface, and what eager PyTorch answers to each of `batches`."""

    spec: ModelSpec
    max_batch_size: int
    interface: Interface
    batches: tuple[Arrays, ...]
    expected: tuple[Arrays, ...]


def run_original(spec: ModelSpec, max_batch_size: int) -> Original:
    """Run the module on batches of one row, an odd number, and `max_batch_size`.

    Where it has dynamic axes, also at their least and most lengths. Raises `TrimaranError` where
    the module fails on its own inputs, and `ParityError` where it answers the same rows
    differently when asked again, or where its rows depend on one another, so that no export of it
    could be served in batches.
    """
    module = spec.positional()

    def run(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        with quiet():
            try:
                outputs = module(*(inputs[name].clone() for name in spec.example_inputs))
            except TrimaranError as error:
                raise TrimaranError(f"model {spec.name}: {error}") from None
        return dict(zip(spec.output_names, outputs, strict=True))

    def run_arrays(arrays: Arrays) -> Arrays:
        outputs = run({name: torch.from_numpy(array) for name, array in arrays.items()})
        return {name: tensor.numpy() for name, tensor in outputs.items()}

    try:
        interface = interface_of(spec, run)
        batches = tuple(_batches(spec, max_batch_size))
        expected = tuple(run_arrays(batch) for batch in batches)
    except TrimaranError:
        raise
    except Exception as error:
        raise TrimaranError(
            f"model {spec.name} fails in PyTorch on its own inputs: {one_sentence(error)}"
        ) from error
    limits = {
        o.name: tolerance_for(
            o.dtype, scale_of(e[o.name] for e in expected), spec.tolerances.get(o.name)
        )
        for o in interface.outputs
    }
    again = run_arrays(batches[0])
    for output, limit in limits.items():
        if not compare(expected[0][output], again[output], *limit).passed:
            raise ParityError(
                f"model {spec.name} gives other answers when asked again, in output {output!r}; "
                "take what is random or remembered out of forward"
            )
    largest = len(batch_sizes(max_batch_size)) - 1
    for output, found in compare_rows(limits, batches[largest], expected[largest], run_arrays):
        if not found.passed:
            raise ParityError(
                f"model {spec.name} cannot be served in batches: output {output!r}: {found.problem}"
            )
    return Original(spec, max_batch_size, interface, batches, expected)


def _batches(spec: ModelSpec, max_batch_size: int) -> list[Arrays]:
    drawn = [draw_samples(spec, rows, _SEED + rows) for rows in batch_sizes(max_batch_size)]
    rows = min(_LENGTH_ROWS, max_batch_size)
    drawn += [draw_samples(spec, rows, _SEED, lengths) for lengths in length_choices(spec)]
    return [{name: tensor.numpy() for name, tensor in batch.items()} for batch in drawn]
