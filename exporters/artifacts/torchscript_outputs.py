"""The outputs of a TorchScript file, found by running it, since it does not declare them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path

import numpy as np

from exporters.artifacts.artifact import Axis, FileTensor, first_repeated
from exporters.artifacts.asking import first_answer
from exporters.artifacts.declared import Declared, read_sample
from exporters.parity import Arrays, Run
from trimaran.repository import dtypes
from trimaran.system.errors import ArtifactError

__all__ = ["BATCH", "SERVED", "find_outputs"]

BATCH = "batch"
"""The name of the first axis where it is open in every input."""

SERVED = {"BOOL", "UINT8", "INT8", "INT16", "INT32", "INT64", "FP16", "FP32", "FP64", "BYTES"}
"""The types that Triton's `pytorch` backend carries."""

_ROWS = 2
_LONGER = ((1, 1), (2, 0), (4, 1))
"""How open axes are made longer, as factor and summand: a stride may hide a single step."""


def find_outputs(
    run: Run,
    inputs: Sequence[FileTensor],
    declared: Sequence[Declared],
    source: Path,
    sample: Path | None,
) -> list[FileTensor]:
    """What the file answers, with an axis open where its length follows an open axis of an input.

    Found on one set of inputs, on the same with one row more, and with open axes longer.
    """
    batched = inputs[0].axes[0] == BATCH
    own = None if sample is None else read_sample(sample, inputs)
    first = first_answer(run, inputs, str(source), _ROWS if batched else None, own)
    arrays, found = first.inputs, first.outputs
    taller = _attempt(run, _grown(inputs, arrays, 1, 1, rows=True)) if batched else {}
    longer = [_attempt(run, _grown(inputs, arrays, *by, rows=False)) for by in _LONGER]
    names = [item.name for item in declared] or ["output"] * len(found)
    if len(names) != len(found):
        raise ArtifactError(
            f"{source}: returns {len(found)} outputs, and {len(names)} were named; give --output "
            "once for each"
        )
    outputs = []
    for (place, array), name in zip(found.items(), names, strict=True):
        if array.ndim == 0:
            raise ArtifactError(
                f"{source}: output {place} is a scalar, which Triton's pytorch backend refuses; "
                "return it with an axis"
            )
        try:
            dtype = dtypes.by_numpy(array.dtype)
        except KeyError:
            dtype = None
        if dtype is None or dtype.triton not in SERVED:
            raise ArtifactError(
                f"{source}: output {place} is {array.dtype}, which Triton's pytorch backend cannot "
                "carry; convert it in forward"
            )
        axes = _axes(array, taller.get(place), [answer.get(place) for answer in longer])
        outputs.append(FileTensor(name if declared else f"{name}__{place}", dtype, axes))
    twice = first_repeated([tensor.name for tensor in (*inputs, *outputs)])
    if twice:
        raise ArtifactError(f"{source}: {twice!r} names two tensors; name outputs with --output")
    return [_as_declared(tensor, item, source) for tensor, item in zip_longest(outputs, declared)]


def _grown(
    inputs: Sequence[FileTensor], arrays: Arrays, factor: int, more: int, *, rows: bool
) -> Arrays:
    """The same inputs with more rows, or with every other open axis longer."""
    grown = dict(arrays)
    for tensor in inputs:
        for axis, length in enumerate(tensor.axes):
            if length == BATCH if rows else length is None:
                index = np.arange(grown[tensor.name].shape[axis] * factor + more)
                grown[tensor.name] = np.take(grown[tensor.name], index, axis=axis, mode="wrap")
    return grown


def _attempt(run: Run, arrays: Arrays) -> Arrays:
    """What `run` answers; nothing for a length that the model does not take."""
    try:
        return run(arrays)
    except Exception:
        return {}


def _axes(
    array: np.ndarray, taller: np.ndarray | None, longer: Sequence[np.ndarray | None]
) -> tuple[Axis, ...]:
    def differs(other: np.ndarray | None, axis: int) -> bool:
        return other is not None and (
            other.ndim != array.ndim or other.shape[axis] != array.shape[axis]
        )

    return tuple(
        BATCH
        if axis == 0 and differs(taller, 0)
        else (
            None if any(differs(other, axis) for other in (taller, *longer)) else array.shape[axis]
        )
        for axis in range(array.ndim)
    )


def _as_declared(tensor: FileTensor, declared: Declared | None, source: Path) -> FileTensor:
    """The output that was found, with axes open where the declaration opens them."""
    if declared is None or declared.dtype is None or declared.shape is None:
        return tensor
    fits = len(declared.shape) == len(tensor.shape) and all(
        want in (-1, have) for have, want in zip(tensor.shape, declared.shape, strict=True)
    )
    if declared.dtype != tensor.dtype or not fits:
        raise ArtifactError(
            f"{source}: --output says {declared}, the file answers {tensor}; give the name alone"
        )
    axes = zip(tensor.axes, declared.shape, strict=True)
    opened = tuple(None if want == -1 and isinstance(axis, int) else axis for axis, want in axes)
    return FileTensor(tensor.name, tensor.dtype, opened)
