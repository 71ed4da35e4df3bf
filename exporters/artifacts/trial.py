"""A model file is run before it is published: does it answer, equally twice, and row by row?

A first axis that is open in every input and output is only a candidate for a batch axis. It is one
when a row's answer does not depend on the rows next to it, so batches are run, and then each of
their rows alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, islice

import numpy as np

from exporters.artifacts.artifact import Artifact, Axis, FileTensor, NoAnswerError, reason
from exporters.artifacts.asking import Answered, first_answer, more_answers
from exporters.parity import Arrays, compare
from exporters.tolerance import scale_of, tolerance_for
from trimaran.repository.dtypes import describe_shape, shapes_agree
from trimaran.system.errors import ArtifactError

__all__ = ["Verdict", "batch_obstacle", "evaluate"]

_ROWS = 3
_MOST_SAMPLE_ROWS = 16
_REPEATED = 3
"""How many sets of inputs are run twice."""
_MADE_UP = "; these inputs were made up: give real ones with --sample inputs.npz"


@dataclass(frozen=True)
class Verdict:
    """The outcome: the batch limit, and why there is none where one was wanted."""

    max_batch_size: int
    note: str = ""


def evaluate(
    artifact: Artifact, where: str, wanted: int, sample: Arrays | None, *, insist: bool
) -> Verdict:
    """Run a model file, in batches if `wanted` is above 0 and it can.

    `sample` is tried instead of made-up inputs. With `insist`, open first axes of different names
    are tried too, and a file that cannot batch is refused. Raises `ArtifactError`, whose sentence
    begins with `where`, for that, for a file that fails on every input, for one that answers the
    same inputs differently, and for one whose answers contradict its own declarations.
    """
    note = ""
    if wanted > 0:
        note = batch_obstacle(artifact.inputs, artifact.outputs, by_name=not insist)
        if not note:
            note = _row_obstacle(artifact, where, _row_count(wanted, sample), sample)
            note += _MADE_UP if note and sample is None else ""
        if not note:
            return Verdict(wanted)
        if insist:
            otherwise = "or give" if note.endswith(_MADE_UP) else "give"
            raise ArtifactError(
                f"{where}: cannot be served in batches: {note}; {otherwise} --max-batch-size 0"
            )
    first = first_answer(artifact.run, artifact.inputs, where, None, sample)
    _require_promised(artifact, first.outputs, where)
    for answered in chain([first], islice(more_answers(artifact.run, first), _REPEATED - 1)):
        _require_found(artifact, answered.outputs, where)
        _require_repeated(artifact, answered, where)
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
                return (
                    f"the length {axis} of the first axes also appears elsewhere in {tensor.name!r}"
                )
    return ""


def _row_count(wanted: int, sample: Arrays | None) -> int:
    """How many rows to put together: three, or as many as a sample has, up to 16."""
    own = 0 if sample is None else max(array.shape[0] for array in sample.values() if array.ndim)
    return min(wanted, max(_ROWS, min(own, _MOST_SAMPLE_ROWS)))


def _row_obstacle(artifact: Artifact, where: str, rows: int, sample: Arrays | None) -> str:
    """Why rows cannot be put together and taken apart again; empty where they can."""
    try:
        first = first_answer(artifact.run, artifact.inputs, where, rows, sample)
    except ArtifactError as error:
        return f"a batch of {rows} {str(error).removeprefix(f'{where}: ').partition('; ')[0]}"
    _require_promised(artifact, first.outputs, where)
    tried, failure = [], ""
    for number, answered in enumerate(chain([first], more_answers(artifact.run, first))):
        _require_found(artifact, answered.outputs, where)
        if number < _REPEATED:
            _require_repeated(artifact, answered, where)
        try:
            obstacle = _mixture(artifact, answered, rows)
        except NoAnswerError as error:
            failure = failure or str(error)
            continue
        if obstacle:
            return obstacle
        tried.append(answered)
    if not tried:
        return failure
    silence = _silence(artifact, tried) if rows > 1 else ""
    return silence + ("; give a sample of more rows" if silence and sample is not None else "")


def _mixture(artifact: Artifact, answered: Answered, rows: int) -> str:
    """Where a batch is not its rows put together. Raises `NoAnswerError` where each row fails."""
    inputs, together = answered.inputs, answered.outputs
    for name, array in together.items():
        if array.shape[:1] != (rows,):
            return f"{name!r} has shape {describe_shape(array.shape)} for a batch of {rows}"
    failure, failures = None, 0
    for index in range(rows) if rows > 1 else ():
        try:
            alone = artifact.run({n: a[index : index + 1] for n, a in inputs.items()})
        except Exception as error:  # a row of nothing but padding may fail, not every row
            failure, failures = error, failures + 1
            continue
        for tensor in artifact.outputs:
            whole = together[tensor.name]
            apart = _apart(tensor, alone[tensor.name], whole[index : index + 1], whole)
            if apart is not None:
                since = f", since {' and '.join(artifact.mixing)}" if artifact.mixing else ""
                return f"a row of {tensor.name!r} depends on the rows next to it{apart}{since}"
    if failure is not None and failures == rows:
        raise NoAnswerError(f"it fails on one row: {reason(failure)}") from failure
    return ""


def _silence(artifact: Artifact, tried: Sequence[Answered]) -> str:
    """Why nothing that was tried could have shown that rows are mixed; empty where it could."""
    different = [answered for answered in tried if _rows_differ(answered.inputs)]
    if not different:
        return "only equal rows were tried, which shows nothing"
    for tensor in artifact.outputs:
        if not any(_is_mostly_finite(answered.outputs[tensor.name]) for answered in different):
            return f"{tensor.name!r} is NaN or infinite in most places, which shows nothing"
    if not any(_rows_differ(answered.outputs) for answered in different):
        return "every row that was tried gets the same answer, which shows nothing"
    if artifact.mixing and not any(tensor.dtype.is_floating for tensor in artifact.outputs):
        return f"{' and '.join(artifact.mixing)}, and integers rarely show the effect"
    return ""


def _rows_differ(arrays: Arrays) -> bool:
    return any(
        not np.array_equal(array[:1], array[i : i + 1], equal_nan=array.dtype.kind == "f")
        for array in arrays.values()
        for i in range(1, len(array))
    )


def _is_mostly_finite(array: np.ndarray) -> bool:
    return array.dtype.kind != "f" or array.size == 0 or bool(np.isfinite(array).mean() > 0.5)


def _require_repeated(artifact: Artifact, answered: Answered, where: str) -> None:
    """Refuse a file that answers the same inputs differently."""
    try:
        again = artifact.run(answered.inputs)
    except Exception as error:  # each runtime raises its own types
        raise ArtifactError(
            f"{where}: fails when it is run again with the same inputs: {reason(error)}; pass "
            f"the state that is kept between calls as an input"
        ) from error
    for tensor in artifact.outputs:
        before = answered.outputs[tensor.name]
        apart = _apart(tensor, before, again[tensor.name], before)
        if apart is not None:
            found = f"holds {' and '.join(artifact.random)}; " if artifact.random else ""
            raise ArtifactError(
                f"{where}: gives different answers in {tensor.name!r} when run again with the same "
                f"inputs{apart}; {found}export it in evaluation mode, and pass random numbers "
                f"and state as inputs"
            )


def _apart(
    tensor: FileTensor, expected: np.ndarray, actual: np.ndarray, whole: np.ndarray
) -> str | None:
    """How far two answers are apart, in words; `None` within the tolerance on `whole`'s scale."""
    if expected.shape != actual.shape:
        return f" (shape {describe_shape(actual.shape)}, and {describe_shape(expected.shape)})"
    if tensor.dtype.triton == "BYTES":
        return None if bool((expected == actual).all()) else ""
    if not tensor.dtype.is_floating:
        return None if np.array_equal(expected, actual) else ""
    scale = scale_of([whole])
    unknown = np.isnan(expected) & np.isnan(actual)
    found = compare(
        np.where(unknown, 0, expected),
        np.where(unknown, 0, actual),
        *tolerance_for(tensor.dtype, scale),
    )
    if found.passed:
        return None
    return f" (up to {found.largest_error:.3g} apart, where values are about {scale:.3g})"


def _require_promised(artifact: Artifact, found: Arrays, where: str) -> None:
    """Refuse an answer of another rank than the file says, which no configuration can describe.

    Lengths may hold for the right values alone, and so may a rank: later answers are not checked.
    """
    for tensor in artifact.outputs:
        shape = found[tensor.name].shape
        if len(shape) != len(tensor.axes):
            raise ArtifactError(
                f"{where}: output {tensor.name!r} has shape {describe_shape(shape)} when it is "
                f"run, and {describe_shape(tensor.shape)} by the file; write its true shape into "
                "the file's outputs, or clear it there"
            )


def _require_found(artifact: Artifact, found: Arrays, where: str) -> None:
    """Refuse TorchScript, whose shapes were found on other inputs, where they do not hold."""
    for tensor in artifact.outputs if artifact.format == "torchscript" else ():
        shape = found[tensor.name].shape
        if not shapes_agree(shape, tensor.shape):
            raise ArtifactError(
                f"{where}: output {tensor.name!r} has shape {describe_shape(shape)} when it is "
                f"run, and {describe_shape(tensor.shape)} on other inputs; open the axis with "
                "--output name:dtype[shape], -1 for any"
            )
