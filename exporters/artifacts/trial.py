"""A model file is run before it is published: does it answer, and may requests be batched?

A first axis that is open in every input and output is only a candidate for a batch axis. It is one
when a row's answer does not depend on the rows beside it, so a batch is run, and then each of its
rows alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from exporters.artifacts.artifact import Artifact, Axis, FileTensor, reason
from exporters.artifacts.inputs import made_up, with_rows
from exporters.parity import Arrays, Run, compare, scale_of, tolerance_for
from trimaran.errors import ArtifactError
from trimaran.tensors import describe_shape

__all__ = ["Verdict", "batch_obstacle", "first_answer", "judge"]

_ROWS = 3


@dataclass(frozen=True)
class Verdict:
    """What the trial came to: the batch limit, and why there is none where one was wanted."""

    max_batch_size: int
    note: str = ""


def judge(
    artifact: Artifact, where: str, wanted: int, sample: Arrays | None, *, insist: bool
) -> Verdict:
    """Run a model file, in batches if `wanted` is above 0 and it can.

    `sample` is tried instead of made-up inputs. With `insist`, open first axes of different names
    are tried too, and a file that cannot batch is refused. Raises `ArtifactError`, whose sentence
    begins with `where`, for that, for a file that fails on every input, and for one whose answers
    contradict what it says of itself.
    """
    note = ""
    if wanted > 0:
        note = batch_obstacle(artifact.inputs, artifact.outputs, by_name=not insist) or (
            _row_obstacle(artifact, where, min(_ROWS, wanted), sample)
        )
        if not note:
            return Verdict(wanted)
        if insist:
            raise ArtifactError(
                f"{where}: cannot be served in batches: {note}; give --max-batch-size 0"
            )
    _, outputs = first_answer(artifact.run, artifact.inputs, where, None, sample)
    _require_promised(artifact.outputs, outputs, where)
    return Verdict(0, note)


def batch_obstacle(
    inputs: Sequence[FileTensor], outputs: Sequence[FileTensor], *, by_name: bool
) -> str:
    """Why the first axes cannot all be one batch axis; empty where they can.

    `by_name` asks for one name in all of them, or for a name in none.
    """
    tensors = [*inputs, *outputs]
    for tensor in tensors:
        if not tensor.axes:
            return f"{tensor.name!r} is a scalar"
        if isinstance(tensor.axes[0], int):
            return f"the first axis of {tensor.name!r} has the fixed length {tensor.axes[0]}"
    firsts: list[Axis] = [tensor.axes[0] for tensor in tensors]
    for tensor in tensors:
        if by_name and tensor.axes[0] != firsts[0]:
            return (
                f"the first axis of {tensors[0].name!r} is {firsts[0] or 'nameless'} and that of "
                f"{tensor.name!r} is {tensor.axes[0] or 'nameless'}"
            )
        for axis in tensor.axes[1:]:
            if axis is not None and axis in firsts:
                return f"the length {axis} of the first axes stands elsewhere in {tensor.name!r}"
    return ""


def first_answer(
    run: Run,
    tensors: Sequence[FileTensor],
    where: str,
    rows: int | None,
    sample: Arrays | None,
) -> tuple[Arrays, Arrays]:
    """The first inputs that `run` answers, and its answer.

    Raises `ArtifactError` with the runtime's words where it answers none.
    """
    failure = None
    own = None if sample is None else [sample if rows is None else with_rows(sample, rows)]
    for inputs in own or made_up(tensors, rows):
        try:
            return inputs, run(inputs)
        except Exception as error:  # runtimes raise types of their own
            failure = failure or error
    if failure is None:
        raise ArtifactError(
            f"{where}: needs more than 1 GiB of inputs, too much to make up; give real ones with "
            "--sample inputs.npz"
        )
    if own is not None:
        raise ArtifactError(
            f"{where}: fails on the sample: {reason(failure)}; give inputs that it takes"
        )
    raise ArtifactError(
        f"{where}: fails on made-up inputs: {reason(failure)}; if it only takes certain values or "
        "lengths, give real ones with --sample inputs.npz"
    )


def _row_obstacle(artifact: Artifact, where: str, rows: int, sample: Arrays | None) -> str:
    """Why rows cannot be put together and taken apart again; empty where they can."""
    try:
        inputs, together = first_answer(artifact.run, artifact.inputs, where, rows, sample)
    except ArtifactError as error:
        return f"a batch of {rows} {str(error).removeprefix(f'{where}: ').partition('; ')[0]}"
    _require_promised(artifact.outputs, together, where)
    if rows > 1 and not any((array[:1] != array).any() for array in inputs.values()):
        return "only equal rows were tried, which shows nothing; try others with --sample"
    for name, array in together.items():
        if array.shape[:1] != (rows,):
            return f"{name!r} has shape {describe_shape(array.shape)} for a batch of {rows}"
    for index in range(rows) if rows > 1 else ():
        try:
            alone = artifact.run({n: a[index : index + 1] for n, a in inputs.items()})
        except Exception as error:
            return f"it fails on one row: {reason(error)}"
        for tensor in artifact.outputs:
            row = together[tensor.name][index : index + 1]
            if not _agree(tensor, alone[tensor.name], row):
                return f"a row of {tensor.name!r} depends on the rows beside it"
    return ""


def _agree(tensor: FileTensor, left: np.ndarray, right: np.ndarray) -> bool:
    if tensor.dtype.triton == "BYTES":
        return left.shape == right.shape and bool((left == right).all())
    return compare(left, right, *tolerance_for(tensor.dtype, scale_of([left, right]))).passed


def _require_promised(outputs: Sequence[FileTensor], found: Arrays, where: str) -> None:
    """Refuse an answer of another rank than the file says, which no configuration can describe."""
    for tensor in outputs:
        shape = found[tensor.name].shape
        if len(shape) != len(tensor.axes):
            raise ArtifactError(
                f"{where}: output {tensor.name!r} has shape {describe_shape(shape)} when it is "
                f"run, and {describe_shape(tensor.shape)} by the file; write its shape into the "
                "file, with onnx.shape_inference or where it was exported"
            )
