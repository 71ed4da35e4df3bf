"""How far integers may go: what a file takes without an error is found by asking it.

An index past the end of a table, a category that is none, a length longer than the text: nothing in
a file says where they end, and the file answers with an error. Where it does not, they end at the
type's own bound, or at a million.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from exporters.artifacts.drawing import Drawing, Pattern, most_below
from exporters.parity import Run

__all__ = ["reaching"]

_FIRST = 2
_GROWTH = 4
_SMALL = 2**16
"""Bounds up to here are tried at once; those above are grown to, since some are sizes."""
_MOST_ANSWER_BYTES = 2**26
_LONGEST_RUN_S = 5.0
_LONGEST_S = 20.0
"""How long to look, for all inputs together."""


def reaching(run: Run, drawing: Drawing) -> Drawing:
    """`drawing` with the greatest bound for each input of integers, one after another."""
    deadline = time.monotonic() + _LONGEST_S
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
        except Exception:  # runtimes raise types of their own
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
