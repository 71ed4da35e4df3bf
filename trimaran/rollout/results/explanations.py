"""Why a row has its answer: the fields that moved it most, and how they are kept and said."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

__all__ = ["EXPLANATIONS", "Explanation", "Reason", "in_words", "read_explanations", "written"]

EXPLANATIONS = "explanations.jsonl"
"""The file of a run's explanations, beside its data report."""


@dataclass(frozen=True)
class Reason:
    """What one field adds to an answer."""

    feature: str
    value: str | None
    """The row's, as a text; None where it is missing."""
    contribution: float
    """Above zero where it makes the probability, or the number, larger."""


@dataclass(frozen=True)
class Explanation:
    """Why a row has its answer."""

    baseline: float
    """The mean answer of the background; with all contributions it is the row's answer."""
    reasons: tuple[Reason, ...]
    """The largest first."""


def in_words(explanation: Explanation) -> str:
    """The reasons in a line: `calls = 9 (+0.41), plan = year (-0.08)`."""
    return ", ".join(
        f"{each.feature} {'missing' if each.value is None else f'= {each.value}'} "
        f"({each.contribution:+.3g})"
        for each in explanation.reasons
    )


def written(explanations: Sequence[Explanation], rows: Sequence[int]) -> str:
    """Explanations as JSON lines, with the rows that they are of."""
    lines = (
        json.dumps({"row": int(row), **asdict(each)})
        for row, each in zip(rows, explanations, strict=True)
    )
    return "".join(f"{line}\n" for line in lines)


def read_explanations(text: str) -> dict[int, Explanation]:
    """What `written` wrote, by row. Raises `ValueError`, `KeyError` or `TypeError`."""
    found = (json.loads(line) for line in text.splitlines())
    return {
        each["row"]: Explanation(
            each["baseline"], tuple(Reason(**reason) for reason in each["reasons"])
        )
        for each in found
    }
