"""The kinds of mutation, in the words of the report, and one mutation of one artifact."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

__all__ = ["INSERTED", "KINDS", "Change"]

Graph = TypeVar("Graph")

KINDS = (
    "a weight by 1 %",
    "one number of a weight by 1 %",
    "a bias dropped",
    "a weight's axes swapped or reversed",
    "half precision in one layer",
    "eps of a norm by 100",
    "a factor by 1 %",
    "an activation for its neighbour",
    "an activation's approximation",
    "an operator for its neighbour",
    "a pooling or reduction for its neighbour",
    "another axis",
    "an attribute flipped",
    "a slice or index off by one",
    "a size baked in",
    "an input taken as constant",
    "rows mixed",
    "the first row's value for all",
    "randomness",
    "values cut off at the example's",
    "a branch on values baked in",
    "wrong at some lengths",
    "wrong at some batch sizes",
)
"""In the order of the report."""

INSERTED = frozenset(KINDS[KINDS.index("rows mixed") :])
"""Those that put a function after a value, and so apply to every graph."""


@dataclass(frozen=True)
class Change(Generic[Graph]):
    """One way to make an artifact wrong: `apply` edits a fresh copy of its graph."""

    kind: str
    what: str
    apply: Callable[[Graph], None]
