"""Inputs that a model file answers: first any, then those that reveal its faults."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from exporters.artifacts.artifact import FileTensor, NoAnswerError, reason
from exporters.artifacts.declared import with_rows
from exporters.artifacts.drawing import BASES, Drawing, Pattern, drawings, most_below
from exporters.parity import Arrays, Run, UnservableError
from trimaran.system.errors import ArtifactError

__all__ = ["Answered", "first_answer", "more_answers", "reaching"]

_ALWAYS = 2
_LONGEST_S = 20.0
"""How long further patterns are tried, after the first two."""

_FIRST = 2
_GROWTH = 4
_SMALL = 2**16
"""Bounds up to here are tried at once; those above are grown to, since some are sizes."""
_MOST_ANSWER_BYTES = 2**26
_LONGEST_RUN_S = 5.0
_LONGEST_SEARCH_S = 20.0
"""How long to look, for all inputs together."""


@dataclass(frozen=True)
class Answered:
    """A set of inputs and its answer; `drawing` is what made the inputs up, if they were."""

    inputs: Arrays
    outputs: Arrays
    drawing: Drawing | None


def first_answer(
    run: Run,
    tensors: Sequence[FileTensor],
    where: str,
    rows: int | None,
    sample: Arrays | None,
) -> Answered:
    """The first inputs that `run` answers: the sample, or made-up ones.

    Raises `NoAnswerError` with the runtime's words where it answers none, and `ArtifactError` at
    once for answers that are wrong for all inputs.
    """
    failure = None
    for inputs, drawing in _candidates(tensors, rows, sample):
        try:
            return Answered(inputs, run(inputs), drawing)
        except UnservableError as error:
            raise ArtifactError(f"{where}: {error}") from error
        except Exception as error:  # each runtime raises its own types
            failure = failure or error
    if failure is None:
        raise ArtifactError(
            f"{where}: needs more than 1 GiB of inputs, too much to make up; give real ones with "
            "--sample inputs.npz"
        )
    if sample is not None:
        raise NoAnswerError(
            f"{where}: fails on the sample: {reason(failure)}; give inputs that it takes"
        )
    raise NoAnswerError(
        f"{where}: fails on made-up inputs: {reason(failure)}; if it only takes certain values or "
        "lengths, give real ones with --sample inputs.npz"
    )


def _candidates(
    tensors: Sequence[FileTensor], rows: int | None, sample: Arrays | None
) -> Iterator[tuple[Arrays, Drawing | None]]:
    if sample is not None:
        yield (sample if rows is None else with_rows(sample, rows)), None
        return
    for drawing in drawings(tensors, rows):
        for pattern in BASES:
            yield drawing.draw(pattern), drawing.after(pattern)


def more_answers(run: Run, first: Answered) -> Iterator[Answered]:
    """Further made-up inputs of the same shapes that `run` answers; none if a sample was given."""
    if first.drawing is None:
        return
    began = time.monotonic()
    drawing = reaching(run, first.drawing)
    for number, pattern in enumerate(drawing.patterns):
        if number >= _ALWAYS and time.monotonic() - began > _LONGEST_S:
            return
        inputs = drawing.draw(pattern)
        try:
            outputs = run(inputs)
        except Exception:  # noqa: S112  inputs that it refuses show nothing
            continue
        yield Answered(inputs, outputs, drawing)


def reaching(run: Run, drawing: Drawing) -> Drawing:
    """`drawing` with the greatest bound for each input of integers, one after another.

    A file does not say where an index or a category ends, but answers larger ones with an error.
    Where it does not, they end at the type's own bound, or at a million.
    """
    deadline = time.monotonic() + _LONGEST_SEARCH_S
    for tensor in drawing.tensors:
        limit = most_below(tensor.dtype)
        if limit is not None:
            found = _greatest(_accepts(run, drawing, tensor.name, deadline), limit)
            drawing = drawing.with_bound(tensor.name, found)
    return drawing


def _accepts(run: Run, drawing: Drawing, name: str, deadline: float) -> Callable[[int], bool]:
    def accepts(bound: int) -> bool:
        if time.monotonic() > deadline:
            return False
        began = time.monotonic()
        try:
            answer = run(drawing.with_bound(name, bound).draw(Pattern.WIDE))
        except Exception:  # each runtime raises its own types
            return False
        # An integer that is a size must not fill the memory, nor the day.
        is_small = sum(array.nbytes for array in answer.values()) <= _MOST_ANSWER_BYTES
        return is_small and time.monotonic() - began < _LONGEST_RUN_S

    return accepts


def _greatest(accepts: Callable[[int], bool], limit: int) -> int:
    """The greatest bound that is accepted, where all below it are; 2 is taken to be."""
    if limit <= _SMALL and accepts(limit):
        return limit
    good, bad = _FIRST, min(_FIRST * _GROWTH, limit)
    while accepts(bad):
        good, bad = bad, min(bad * _GROWTH, limit)
        if good == limit:
            return limit
    while bad - good > 1:
        middle = (good + bad) // 2
        good, bad = (middle, bad) if accepts(middle) else (good, middle)
    return good
